#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <set>

namespace octet {
namespace {

std::set<std::string> topics_of_environment() {
  std::set<std::string> topics;
  const char* list = std::getenv("OCTET_VERBOSE");
  std::string topic;
  for (const char* c = list ? list : "";; ++c) {
    if (*c == ',' || *c == '\0') {
      if (!topic.empty()) topics.insert(topic);
      topic.clear();
      if (*c == '\0') return topics;
    } else if (*c != ' ') {
      topic += *c;
    }
  }
}

const std::set<std::string>& topics() {
  static const std::set<std::string> list = topics_of_environment();
  return list;
}

spdlog::logger& logger() {
  // Never destroyed: a destructor of some static variable may still want to say something.
  static spdlog::logger* const instance = [] {
    auto* made = new spdlog::logger("octet", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(verbose("debug") ? spdlog::level::debug : spdlog::level::info);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(level_of(level)); }

void log(LogLevel level, const std::string& message) {
  const char* prefix = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
  logger().log(level_of(level), "{}{}", prefix, message);
}

bool verbose(const char* topic) { return topics().contains(topic) || topics().contains("all"); }

}  // namespace octet
