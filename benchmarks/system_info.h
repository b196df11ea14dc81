// Who measured: the header of every report.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/peak.h"

namespace octet::bench {

/// Name and value, in order: version, compiler, build, flags, vendor libraries, CPU, ISA, threads, caches, clock, load,
/// date, and the switches that are set in the environment.
using Facts = std::vector<std::pair<std::string, std::string>>;
Facts system_facts();

/// A line when the machine is so busy that times mean little; else "".
std::string load_warning();

/// "fma 215.3 GFLOP/s (vfmadd231ps zmm), int8 …, memory …"
std::string peaks_text(const Peaks& peaks);

}  // namespace octet::bench
