#include "benchmarks/report.h"

#include <fmt/format.h>

#include <cstdio>

#include "benchmarks/json_text.h"
#include "benchmarks/sheet.h"

namespace octet::bench {
namespace {

/// In the unit of what bounds the work.
std::string rate_text(const Result& result) {
  return result.bound == Bound::memory ? fmt::format("{:.2f} GB/s", result.gbytes())
                                       : fmt::format("{:.2f} GOP/s", result.gops());
}
std::string percent_text(const Result& result) {
  return fmt::format("{:.1f} % {}", result.percent, name_of(result.bound));
}
std::string times_text(const Result& result) {
  return result.times_f32 ? fmt::format("{:.2f}x", *result.times_f32) : std::string();
}

class Table : public Report {
 public:
  void begin(const Facts& facts, const Peaks& peaks) override {
    print_header(facts, peaks, Format::table);
    fmt::print(
        "\n> the row that selection runs; percent: of the peak that bounds the work; last column: times as fast as the "
        "chosen fp32 row\n");
  }
  void group(const std::vector<Result>& results) override {
    fmt::print("\n{}/{}  [{}]\n", results[0].entry->room, results[0].entry->group, results[0].entry->problem);
    for (const Result& result : results) {
      const Entry& entry = *result.entry;
      fmt::print("{} {:<6} {:<11}", entry.chosen ? '>' : ' ', entry.dtypes, entry.impl);
      if (!result.error.empty())
        fmt::print(" ERROR {}\n", result.error);
      else
        fmt::print(" {:>11} {:>16} {:>14} {:>8}\n", time_text(result.seconds), rate_text(result), percent_text(result),
                   times_text(result));
    }
    std::fflush(stdout);
  }
  void finish(const std::vector<Share>& shares) override {
    if (!shares.empty()) fmt::print("\n");
    for (const Share& share : shares) fmt::print("{}\n", share_text(share));
  }
};

class Markdown : public Report {
 public:
  void begin(const Facts& facts, const Peaks& peaks) override {
    print_header(facts, peaks, Format::md);
    fmt::print("\n| case | dtypes | row | time | rate | of peak | x fp32 |\n|---|---|---|--:|--:|--:|--:|\n");
  }
  void group(const std::vector<Result>& results) override {
    for (const Result& result : results) {
      const Entry& entry = *result.entry;
      const std::string row = entry.chosen ? fmt::format("**{}**", entry.impl) : entry.impl;
      if (!result.error.empty())
        fmt::print("| {} | {} | {} | ERROR {} | | | |\n", entry.group, entry.dtypes, row, result.error);
      else
        fmt::print("| {} | {} | {} | {} | {} | {} | {} |\n", entry.group, entry.dtypes, row, time_text(result.seconds),
                   rate_text(result), percent_text(result), times_text(result));
    }
    std::fflush(stdout);
  }
  void finish(const std::vector<Share>& shares) override {
    if (!shares.empty()) fmt::print("\n");
    for (const Share& share : shares) fmt::print("- {}\n", share_text(share));
  }
};

class Csv : public Report {
 public:
  void begin(const Facts& facts, const Peaks& peaks) override {
    print_header(facts, peaks, Format::csv);
    fmt::print(
        "room,group,dtypes,row,problem,chosen,seconds,ops,bytes,gops_per_second,gbytes_per_second,bound,percent_of_"
        "peak,times_f32,error\n");
  }
  void group(const std::vector<Result>& results) override {
    for (const Result& result : results) {
      const Entry& e = *result.entry;
      fmt::print("{},{},{},{},\"{}\",{},", e.room, e.group, e.dtypes, e.impl, e.problem, e.chosen ? 1 : 0);
      if (!result.error.empty())
        fmt::print(",{:.0f},{:.0f},,,,,,{}\n", e.work.ops, e.work.bytes, csv_field(result.error));
      else
        fmt::print("{:.9g},{:.0f},{:.0f},{:.4f},{:.4f},{},{:.2f},{},\n", result.seconds, e.work.ops, e.work.bytes,
                   result.gops(), result.gbytes(), name_of(result.bound), result.percent,
                   result.times_f32 ? fmt::format("{:.4f}", *result.times_f32) : "");
    }
    std::fflush(stdout);
  }
  void finish(const std::vector<Share>& shares) override {
    for (const Share& share : shares) fmt::print(stderr, "{}\n", share_text(share));
  }
};

class Json : public Report {
 public:
  void begin(const Facts& facts, const Peaks& peaks) override {
    json_ = json_header(facts, peaks);
    json_["results"] = nlohmann::ordered_json::array();
  }
  void group(const std::vector<Result>& results) override {
    for (const Result& result : results) {
      const Entry& e = *result.entry;
      nlohmann::ordered_json j{{"name", e.name},     {"room", e.room},
                               {"group", e.group},   {"dtypes", e.dtypes},
                               {"row", e.impl},      {"problem", e.problem},
                               {"chosen", e.chosen}, {"check", result.error.empty() ? "passed" : "failed"},
                               {"ops", e.work.ops},  {"bytes", e.work.bytes}};
      if (!result.error.empty()) {
        j["error"] = result.error;
      } else {
        j["seconds"] = result.seconds;
        j["gops_per_second"] = result.gops();
        j["gbytes_per_second"] = result.gbytes();
        j["bound"] = name_of(result.bound);
        j["percent_of_peak"] = result.percent;
        if (result.times_f32) j["times_f32"] = *result.times_f32;
      }
      json_["results"].push_back(std::move(j));
    }
  }
  void finish(const std::vector<Share>& shares) override {
    auto& list = json_["pointwise_shares"] = nlohmann::ordered_json::array();
    for (const Share& s : shares)
      list.push_back({{"pass", s.pass},
                      {"dtypes", s.dtypes},
                      {"shapes", s.shapes},
                      {"of", s.of},
                      {"geomean", s.geomean},
                      {"lowest", s.lowest},
                      {"lowest_shape", s.lowest_shape}});
    fmt::print("{}\n", json_.dump(2));
  }

 private:
  nlohmann::ordered_json json_;
};

}  // namespace

std::string share_text(const Share& s) {
  return fmt::format(
      "1x1 convolutions, {} {}: {:.1f} % of the {} peak (geometric mean over {} of {} shapes), lowest {:.1f} % ({})",
      s.pass, s.dtypes, 100 * s.geomean,
      s.dtypes == "f32"    ? "FMA"
      : s.dtypes == "bf16" ? "bf16"
                           : "int8",
      s.shapes, s.of, 100 * s.lowest, s.lowest_shape);
}

void print_header(const Facts& facts, const Peaks& peaks, Format format) {
  if (format == Format::json) return;
  std::FILE* file = format == Format::csv ? stderr : stdout;
  const auto line = [&](const std::string& name, const std::string& value) {
    format == Format::md ? fmt::print(file, "- {}: {}\n", name, value) : fmt::print(file, "{:<12} {}\n", name, value);
  };
  for (const auto& [name, value] : facts) line(name, value);
  line("peaks", peaks_text(peaks));
}

void rate(std::vector<Result>& group, const Peaks& peaks) {
  const Result* base = nullptr;
  for (const Result& result : group)
    if (result.entry->chosen && result.entry->dtypes == "f32" && result.error.empty()) base = &result;
  for (Result& result : group) {
    if (!result.error.empty()) continue;
    result.bound = bound_of(result.entry->work, peaks);
    result.percent = 100 * least_seconds(result.entry->work, peaks) / result.seconds;
    if (base != nullptr) result.times_f32 = base->seconds / result.seconds;
  }
}

std::unique_ptr<Report> make_report(Format format) {
  switch (format) {
    case Format::table:
      return std::make_unique<Table>();
    case Format::csv:
      return std::make_unique<Csv>();
    case Format::json:
      return std::make_unique<Json>();
    case Format::md:
      return std::make_unique<Markdown>();
  }
  return nullptr;
}

}  // namespace octet::bench
