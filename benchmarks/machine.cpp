#include "benchmarks/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace octet::bench {
namespace {

const std::string kCpu = "/sys/devices/system/cpu/";

std::string first_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

void append(std::string& list, const std::string& text) {
  if (!text.empty()) list += (list.empty() ? "" : ", ") + text;
}

template <class Function>
Function loaded(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

std::string caches_text() {
  std::string list;
  for (int i = 0; i < 8; ++i) {
    const std::string folder = fmt::format("{}cpu0/cache/index{}/", kCpu, i), level = first_line(folder + "level");
    if (level.empty()) break;
    const std::string type = first_line(folder + "type"), sharers = first_line(folder + "shared_cpu_list");
    const char* name = type == "Data" ? " data" : type == "Instruction" ? " instructions" : "";
    append(list, fmt::format("{} L{}{}{}", first_line(folder + "size"), level, name,
                             sharers == "0" ? "" : " shared by " + sharers));
  }
  return list;
}

std::string clock_text() {
  std::string list;
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line) && list.empty();)
    if (line.starts_with("cpu MHz"))
      append(list, fmt::format("{:.0f} MHz when asked", std::atof(line.substr(line.find(':') + 1).c_str())));
  if (const std::string governor = first_line(kCpu + "cpu0/cpufreq/scaling_governor"); !governor.empty())
    append(list, "governor " + governor);
  if (const std::string boost = first_line(kCpu + "cpufreq/boost"); !boost.empty())
    append(list, boost == "1" ? "boost on" : "boost off");
  return list;
}

// Asked for by name: the headers belong to the vendors' rows alone.
std::string openblas_text() {
  std::string list;
  if (const auto config = loaded<const char* (*)()>("openblas_get_config")) {
    std::istringstream words(config());
    std::string name, version;
    words >> name >> version;
    append(list, version);
  }
  if (const auto core = loaded<const char* (*)()>("openblas_get_corename"))
    append(list, fmt::format("kernels for {}", core()));
  return list;
}

std::string onednn_text() {
  struct Version {  // the beginning of dnnl_version_t, the same since 1.0
    int major, minor, patch;
  };
  const auto version = loaded<const Version* (*)()>("dnnl_version");
  if (version == nullptr) return {};
  return fmt::format("{}.{}.{}", version()->major, version()->minor, version()->patch);
}

}  // namespace octet::bench
