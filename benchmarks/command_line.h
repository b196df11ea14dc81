// What the command line of octet_bench says.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "benchmarks/report.h"
#include "benchmarks/step.h"

namespace octet::bench {

struct Options {
  std::string filter;
  Format format = Format::table;
  std::int64_t batch = 0;
  int threads = 0;
  bool list = false, chosen = false, wide = false, network = false, decomposed = false, step = false,
       int8_network = false, quick = false;
  std::vector<std::string> parts;  ///< of --network: fp32, qat, int8, bf16; empty: the first three
  std::string roofline;            ///< file of the plot; empty: none
  StepOptions step_options;
  std::string serve_step;  ///< "fp32", "qat" or "bf16": this process is a side of another's --step
};

/// Adds the options to `app`; parsing fills `options`, which must live as long.
void describe(CLI::App& app, Options& options);

}  // namespace octet::bench
