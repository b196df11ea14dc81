// Runs entries through Google Benchmark: each is checked first, a failing one is reported and not timed.
#pragma once
#include "benchmarks/report.h"

namespace octet::bench {

struct Outcome {
  std::size_t measured = 0, failed = 0;
};

/// In the given order; entries of one group must stand together.
Outcome measure(const std::vector<Entry*>& entries, const Settings& settings, const Peaks& peaks, Report& report);

}  // namespace octet::bench
