#include "benchmarks/system_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <thread>

#include "benchmarks/machine.h"
#include "core/cpu_features.h"
#include "core/parallel.h"

namespace octet::bench {
namespace {

double load_of_last_minute() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

std::string of_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : fmt::format("{}={}", name, value);
}

std::string vendor_text(bool built, const std::string& version) {
  if (!built) return "not built in";
  return version.empty() ? "built in" : version;
}

}  // namespace

Facts system_facts() {
  const std::string sanitize = OCTET_SANITIZE;
  Facts facts{{"version", OCTET_VERSION},
              {"compiler", OCTET_COMPILER},
              {"build", std::string(OCTET_BUILD_TYPE) + (sanitize.empty() ? "" : ", sanitizers " + sanitize)},
              {"flags", OCTET_FLAGS},
              {"oneDNN", vendor_text(OCTET_WITH_ONEDNN != 0, onednn_text())},
              {"OpenBLAS", vendor_text(OCTET_WITH_OPENBLAS != 0, openblas_text())},
              {"cpu", cpu_description()},
              {"isa", fmt::format("{} (processor: {})", name_of(usable_isa()), name_of(detected_isa()))},
              {"threads", fmt::format("{} of {} processors", num_threads(), std::thread::hardware_concurrency())}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) facts.emplace_back(name, text);
  };
  add("caches", caches_text());
  add("clock", clock_text());
  add("load", fmt::format("{:.2f} in the last minute", load_of_last_minute()));
  add("date", fmt::format("{:%Y-%m-%d %H:%M UTC}", fmt::gmtime(std::time(nullptr))));
  for (const char* name :
       {"OCTET_ISA", "OCTET_KERNEL", "OCTET_FUSE", "OCTET_THREADS", "OCTET_VERBOSE", "OPENBLAS_CORETYPE",
        "OPENBLAS_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS", "OMP_WAIT_POLICY"})
    add("environment", of_environment(name));
  return facts;
}

std::string load_warning() {
  const double load = load_of_last_minute();
  const unsigned processors = std::thread::hardware_concurrency();
  if (load < 0.5 + 0.1 * processors) return {};
  return fmt::format("the machine is busy (load {:.1f} on {} processors): times and percentages say little", load,
                     processors);
}

std::string peaks_text(const Peaks& peaks) {
  const std::string bf16 =
      peaks.bf16_gflops > 0 ? fmt::format("bf16 {:.1f} GFLOP/s ({}), ", peaks.bf16_gflops, peaks.bf16_how) : "";
  return fmt::format("fma {:.1f} GFLOP/s ({}), int8 {:.1f} GOP/s ({}), {}memory {:.1f} GB/s (read and write back)",
                     peaks.fma_gflops, peaks.fma_how, peaks.int8_gops, peaks.int8_how, bf16, peaks.memory_gbytes);
}

}  // namespace octet::bench
