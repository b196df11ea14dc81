// octet_bench: every kernel row on the shapes of MobileNetV1, checked, then timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <regex>

#include "benchmarks/measure.h"
#include "core/error.h"
#include "core/parallel.h"

namespace octet::bench {
namespace {

struct Options {
  std::string filter;
  std::string format = "table";
  std::int64_t batch = 0;
  int threads = 0;
  bool list = false, quick = false;
};

const std::map<std::string, Format> kFormats{
    {"table", Format::table}, {"csv", Format::csv}, {"json", Format::json}, {"md", Format::md}};

void describe(CLI::App& app, Options& options) {
  app.set_version_flag("--version", std::string("octet_bench ") + OCTET_VERSION);
  app.add_option("--filter", options.filter,
                 "Only rows whose name matches this regular expression (ECMAScript); names as --list shows them");
  app.add_option("-o,--output", options.format, "table, csv, json or md")
      ->check(CLI::IsMember(kFormats))
      ->type_name("FORMAT");
  app.add_option("--batch", options.batch, "Pictures of the training shapes (256; with --quick 2)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--threads", options.threads, "Threads of all rows and of the peaks (default: all processors)")
      ->check(CLI::Range(1, 256));
  app.add_flag("--list", options.list, "Name every row, with its problem, and run nothing");
  app.add_flag("--quick", options.quick, "Few pictures and short runs: shows that all works, its times are rough");
  app.footer(
      "Names are room/pass/shape/bBATCH/dtypes/row. Examples:\n"
      "  octet_bench --filter '^conv2d/conv2d_fwd/pw5/'      one layer, all rows, int8 beside fp32\n"
      "  octet_bench --filter '/b1/.*(f32|u8s8)/avx'         one picture, our vector rows\n"
      "  octet_bench -o json > results.json\n"
      "OCTET_ISA caps the instruction set, OCTET_KERNEL forces rows (the mark > follows).\n"
      "Exit codes: 0 all right, 1 a row failed its check, 2 wrong usage.");
}

std::regex compiled(const std::string& filter) {
  try {
    return std::regex(filter);
  } catch (const std::regex_error& error) {
    fail("octet_bench", fmt::format("--filter '{}' is no regular expression: {}", filter, error.what()));
  }
}

/// What the filter lets through.
std::vector<Entry*> wanted(Suite& suite, const std::string& filter) {
  const std::regex pattern = compiled(filter);
  std::vector<Entry*> found;
  for (Entry& entry : suite.entries())
    if (std::regex_search(entry.name, pattern)) found.push_back(&entry);
  OCTET_CHECK(!found.empty(), "octet_bench", "--filter '{}' matches none of {} rows; --list names them", filter,
              suite.entries().size());
  return found;
}

void list(const std::vector<Entry*>& entries) {
  for (const Entry* entry : entries)
    fmt::print("{} {:<64} [{}]{}\n", entry->chosen ? '>' : ' ', entry->name, entry->problem,
               entry->refusal.empty() ? "" : "  not here: " + entry->refusal);
}

int run(const Options& options) {
  if (options.threads > 0) set_num_threads(options.threads);
  Settings settings;
  settings.quick = options.quick;
  settings.batch = options.batch > 0 ? options.batch : options.quick ? 2 : 256;
  Suite suite(settings);
  add_all(suite);
  std::vector<Entry*> entries = wanted(suite, options.filter);
  if (options.list) {
    list(entries);
    return 0;
  }
  std::erase_if(entries, [](const Entry* entry) { return !entry->refusal.empty(); });
  if (const std::string warning = load_warning(); !warning.empty()) fmt::print(stderr, "octet_bench: {}\n", warning);
  const Peaks peaks = measure_peaks(options.quick);
  const std::unique_ptr<Report> report = make_report(kFormats.at(options.format));
  report->begin(system_facts(), peaks);
  const Outcome outcome = measure(entries, settings, peaks, *report);
  report->finish();
  fmt::print(stderr, "octet_bench: {} rows measured, {} failed their check\n", outcome.measured, outcome.failed);
  return outcome.failed == 0 ? 0 : 1;
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return octet::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
