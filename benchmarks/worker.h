// A child process that does some work when asked: a line to its stdin, a line of JSON from its stdout.
#pragma once
#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace octet::bench {

/// Lives until the object goes: then its stdin closes, upon which it has to end.
class Worker {
 public:
  /// Starts argv with `environment` ("NAME=value") added to ours. Throws Error when it cannot be started.
  Worker(std::string name, const std::vector<std::string>& argv, const std::vector<std::string>& environment = {});
  ~Worker();
  Worker(const Worker&) = delete;

  /// The next line of its answer as JSON; other lines it prints before that are skipped. Throws Error, with the last
  /// such line, when it ends or says nothing for `timeout_seconds`.
  nlohmann::json answer(int timeout_seconds);
  /// Sends a line, returns the answer.
  nlohmann::json ask(const std::string& line, int timeout_seconds = 300);

 private:
  std::string read_line(int timeout_seconds);
  std::string name_, buffer_, last_words_;
  int to_ = -1, from_ = -1;
  pid_t pid_ = -1;
};

}  // namespace octet::bench
