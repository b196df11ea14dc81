// octet_bench: every kernel row on the shapes of MobileNetV1, checked, then timed; the whole net; whole steps.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <regex>

#include "benchmarks/command_line.h"
#include "benchmarks/int8_network.h"
#include "benchmarks/keeping.h"
#include "benchmarks/measure.h"
#include "benchmarks/network_table.h"
#include "benchmarks/program.h"
#include "benchmarks/roofline.h"
#include "benchmarks/step_worker.h"
#include "core/error.h"
#include "core/parallel.h"

namespace octet::bench {
namespace {

std::regex compiled(const std::string& filter) {
  try {
    return std::regex(filter);
  } catch (const std::regex_error& error) {
    fail("octet_bench", fmt::format("--filter '{}' is no regular expression: {}", filter, error.what()));
  }
}

/// What the filter lets through.
std::vector<Entry*> wanted(Suite& suite, const Options& options) {
  const std::regex pattern = compiled(options.filter);
  std::vector<Entry*> found;
  for (Entry& entry : suite.entries())
    if (std::regex_search(entry.name, pattern) && (entry.chosen || !options.chosen)) found.push_back(&entry);
  OCTET_CHECK(!found.empty(), "octet_bench", "--filter '{}' matches none of {} rows{}; --list names them",
              options.filter, suite.entries().size(), options.chosen ? " that selection runs" : "");
  return found;
}

void list(const std::vector<Entry*>& entries) {
  for (const Entry* entry : entries)
    fmt::print("{} {:<64} [{}]{}\n", entry->chosen ? '>' : ' ', entry->name, entry->problem,
               entry->refusal.empty() ? "" : "  not here: " + entry->refusal);
}

Peaks peaks_of_quiet_machine(bool quick) {
  if (const std::string warning = load_warning(); !warning.empty()) fmt::print(stderr, "octet_bench: {}\n", warning);
  return measure_peaks(quick);
}

int verdict(const Outcome& outcome) {
  fmt::print(stderr, "octet_bench: {} rows measured, {} failed their check\n", outcome.measured, outcome.failed);
  return outcome.failed == 0 ? 0 : 1;
}

void draw(const std::vector<Result>& results, const Peaks& peaks, const std::string& file) {
  if (file.empty()) return;
  write_roofline(results, peaks, file);
  fmt::print(stderr, "octet_bench: {} drawn\n", file);
}

int run_rows(const Options& options, const Settings& settings, Suite& suite) {
  std::vector<Entry*> entries = wanted(suite, options);
  if (options.list) {
    list(entries);
    return 0;
  }
  std::erase_if(entries, [](const Entry* entry) { return !entry->refusal.empty(); });
  OCTET_CHECK(!entries.empty(), "octet_bench", "none of the rows of --filter '{}' can run here; --list says why",
              options.filter);
  const Peaks peaks = peaks_of_quiet_machine(options.quick);
  const Facts facts = system_facts();
  const std::unique_ptr<Report> report = options.wide ? nullptr : make_report(options.format);
  Keeping kept(report.get());
  kept.begin(facts, peaks);
  const Outcome outcome = measure(entries, settings, peaks, kept);
  const std::vector<Share> shares = pointwise_shares(kept.results(), peaks, settings.batch);
  kept.finish(shares);
  if (options.wide) print(wide_sheet(kept.results(), shares), facts, peaks, options.format);
  draw(kept.results(), peaks, options.roofline);
  return verdict(outcome);
}

Wanted wanted_parts(const Options& options) {
  const auto has = [&](const char* name) {
    return options.parts.empty() || std::find(options.parts.begin(), options.parts.end(), name) != options.parts.end();
  };
  return {has("fp32"), has("qat"), has("int8"), !options.parts.empty() && has("bf16")};
}

int run_network(const Options& options, const Settings& settings, Suite& suite) {
  const std::vector<Part> parts =
      plan_network(suite, options.decomposed ? Path::decomposed : Path::fused, wanted_parts(options));
  OCTET_CHECK(!parts.empty(), "octet_bench", "--parts {} has nothing to measure with --decomposed", options.parts[0]);
  const std::vector<Entry*> entries = entries_of(parts, suite);
  const Peaks before = peaks_of_quiet_machine(options.quick);
  Keeping kept;
  const Outcome outcome = measure(entries, settings, before, kept);
  const Peaks peaks = better_of(before, measure_peaks(options.quick));
  print(network_sheet(parts, kept.results(), peaks, settings.batch), system_facts(), peaks, options.format);
  draw(kept.results(), peaks, options.roofline);
  return verdict(outcome);
}

int run_int8_network(const Options& options, const Settings& settings) {
  const Peaks peaks = peaks_of_quiet_machine(options.quick);
  const std::vector<Int8Run> runs = measure_int8_network(settings);
  print(int8_network_sheet(runs), system_facts(), peaks, options.format);
  const std::size_t failed = failures_of(runs);
  if (failed > 0) fmt::print(stderr, "octet_bench: {} rows failed their check\n", failed);
  return failed == 0 ? 0 : 1;
}

int run_step(const Options& options, const Settings& settings) {
  StepOptions step = options.step_options;
  step.batch = settings.batch;
  step.threads = options.threads;
  if (options.quick) step.rounds = 2, step.steps = 1, step.scale = 0.25;
  const Peaks before = peaks_of_quiet_machine(options.quick);
  const Facts facts = system_facts();
  const std::vector<StepSide> sides = measure_steps(step);
  const Peaks peaks = better_of(before, measure_peaks(options.quick));
  print(step_sheet(sides, step, peaks), facts, peaks, options.format);
  int failed = 0;
  for (const StepSide& side : sides) {
    if (side.error.empty()) continue;
    fmt::print(stderr, "octet_bench: {} was not measured: {}\n", side.what, side.error);
    failed = 1;
  }
  return failed;
}

int run(const Options& options) {
  if (options.threads > 0) set_num_threads(options.threads);
  Settings settings;
  settings.quick = options.quick;
  if (options.network) settings.seconds = 0.03;  // a hundred rows, and the sums matter most
  settings.batch = options.batch > 0 ? options.batch : options.quick ? (options.step ? 8 : 2) : 256;
  if (!options.serve_step.empty())
    return serve_steps(
        {options.serve_step == "bf16", options.serve_step == "qat", settings.batch, options.step_options.scale});
  if (options.step) return run_step(options, settings);
  if (options.int8_network) return run_int8_network(options, settings);
  Suite suite(settings);
  add_all(suite);
  return options.network ? run_network(options, settings, suite) : run_rows(options, settings, suite);
}

}  // namespace
}  // namespace octet::bench

int main(int argc, char** argv) {
  CLI::App app{
      "Times every kernel row on the shapes of MobileNetV1, beside each other and the machine's peaks. A row is "
      "checked against the reference first.",
      "octet_bench"};
  octet::bench::Options options;
  octet::bench::describe(app, options);
  return octet::bench::run_program(app, argc, argv, [&] { return octet::bench::run(options); });
}
