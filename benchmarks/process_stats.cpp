#include "benchmarks/process_stats.h"

#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace octet::bench {

std::uint64_t minor_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_minflt);
}

// Not ru_maxrss: exec() hands the parent's on.
std::uint64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

}  // namespace octet::bench
