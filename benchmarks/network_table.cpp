#include "benchmarks/network_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace octet::bench {
namespace {

bool of_training_step(Stage stage) {
  return stage == Stage::forward || stage == Stage::backward || stage == Stage::update;
}

/// Sums over parts; a part counts as often as its layer stands in the net.
struct Total {
  double seconds = 0, least = 0, ops = 0, bytes = 0, fp32 = 0;
  void add(const Part& part, const Result& result, const Result* fp32_result, const Peaks& peaks) {
    const double times = part.times;
    seconds += times * result.seconds;
    least += times * least_seconds(part.entry->work, peaks);
    ops += times * part.entry->work.ops;
    bytes += times * part.entry->work.bytes;
    if (fp32_result != nullptr) fp32 += times * fp32_result->seconds;
  }
  void add(const Total& other) {
    seconds += other.seconds, least += other.least, ops += other.ops, bytes += other.bytes, fp32 += other.fp32;
  }
};

class NetworkTable {
 public:
  NetworkTable(const std::vector<Part>& parts, const std::vector<Result>& results, const Peaks& peaks,
               std::int64_t batch)
      : parts_(parts), results_(results), peaks_(peaks), batch_(batch) {}

  Sheet make() {
    sheet_.name = "network";
    sheet_.columns = {{"kind", ""},
                      {"layer", "layer", true},
                      {"times", "x"},
                      {"pass", "pass", true},
                      {"dtypes", ""},
                      {"row", "row", true},
                      {"seconds", "time"},
                      {"share", "share"},
                      {"ops", "GFLOP"},
                      {"bytes", ""},
                      {"flop_per_byte", "FLOP/B"},
                      {"gops_per_second", "GOP/s"},
                      {"gbytes_per_second", "GB/s"},
                      {"bound", "bound", true},
                      {"percent_of_roofline", "of roof"},
                      {"times_f32", "x fp32"},
                      {"error", "", true}};
    for (const Part& part : parts_) {
      const Result* result = result_of(part.entry);
      if (result == nullptr || !result->error.empty()) continue;
      if (of_training_step(part.stage)) step_.add(part, *result, nullptr, peaks_);
      stage_total(part.stage).add(part, *result, part.fp32 ? result_of(part.fp32) : nullptr, peaks_);
    }
    for (int stage = 0; stage < kStages; ++stage) add_section(static_cast<Stage>(stage));
    if (step_.seconds > 0) add_whole_step();
    add_int8_figure();
    add_notes();
    return std::move(sheet_);
  }

 private:
  const Result* result_of(const Entry* entry) const {
    const auto found =
        std::find_if(results_.begin(), results_.end(), [&](const Result& r) { return r.entry == entry; });
    return found == results_.end() ? nullptr : &*found;
  }
  Total& stage_total(Stage stage) { return stages_[static_cast<int>(stage)]; }
  double whole(Stage stage) { return of_training_step(stage) ? step_.seconds : stage_total(stage).seconds; }

  std::vector<Value> numbers(const Total& total, double whole, const std::string& bound) const {
    const double gops = total.ops / total.seconds / 1e9, gbytes = total.bytes / total.seconds / 1e9;
    const double intensity = total.ops / total.bytes, percent = 100 * total.least / total.seconds;
    std::vector<Value> values{{time_text(total.seconds), total.seconds},
                              {fmt::format("{:.1f} %", 100 * total.seconds / whole), total.seconds / whole},
                              {fmt::format("{:.3f}", total.ops / 1e9), total.ops},
                              {"", total.bytes},
                              {fmt::format("{:.1f}", intensity), intensity},
                              {fmt::format("{:.1f}", gops), gops},
                              {fmt::format("{:.1f}", gbytes), gbytes},
                              bound.empty() ? Value() : Value(bound),
                              {fmt::format("{:.1f} %", percent), percent}};
    if (total.fp32 > 0)
      values.push_back({fmt::format("{:.2f}x", total.fp32 / total.seconds), total.fp32 / total.seconds});
    return values;
  }

  static Sheet::Line line_of(std::vector<Value> head, std::vector<Value> numbers, bool sum) {
    head.insert(head.end(), numbers.begin(), numbers.end());
    return {std::move(head), sum};
  }

  void add_part(Sheet::Section& section, const Part& part) {
    const Entry& entry = *part.entry;
    std::vector<Value> head{Value(name_of(part.kind)),
                            Value(part.layer),
                            {part.times == 1 ? "" : std::to_string(part.times), std::int64_t{part.times}},
                            Value(parts_of(entry.group).pass),
                            Value(entry.dtypes),
                            Value(entry.impl)};
    if (entry.dtypes != "f32") head.back().text = entry.dtypes + " " + entry.impl;
    const Result* result = result_of(&entry);
    if (result == nullptr || !result->error.empty()) {
      const std::string error = result == nullptr ? "not measured" : result->error;
      head.emplace_back().text = "ERROR " + error;
      head.resize(sheet_.columns.size() - 1);
      head.push_back(Value(error));
      section.lines.push_back({std::move(head), false});
      return;
    }
    Total total;
    total.add(part, *result, part.fp32 ? result_of(part.fp32) : nullptr, peaks_);
    section.lines.push_back(line_of(std::move(head), numbers(total, whole(part.stage), name_of(result->bound)), false));
  }

  void add_section(Stage stage) {
    Sheet::Section section;
    section.title = name_of(stage);
    for (const Part& part : parts_)
      if (part.stage == stage) add_part(section, part);
    if (section.lines.empty()) return;
    for (const Kind kind : {Kind::stem, Kind::depthwise, Kind::pointwise, Kind::fc, Kind::other})
      add_sum(section, fmt::format("all {}", name_of(kind)), kind_total(stage, kind), whole(stage), name_of(kind));
    add_sum(section, "sum", stage_total(stage), whole(stage), "all");
    sheet_.sections.push_back(std::move(section));
  }

  Total kind_total(Stage stage, Kind kind) const {
    Total total;
    for (const Part& part : parts_) {
      const Result* result = result_of(part.entry);
      if (part.stage != stage || part.kind != kind || result == nullptr || !result->error.empty()) continue;
      total.add(part, *result, part.fp32 ? result_of(part.fp32) : nullptr, peaks_);
    }
    return total;
  }

  void add_sum(Sheet::Section& section, const std::string& title, const Total& total, double whole, const char* kind) {
    if (total.seconds <= 0) return;
    section.lines.push_back(
        line_of({Value(kind), Value(title), Value(), Value("sum"), Value(), Value()}, numbers(total, whole, ""), true));
  }

  void add_whole_step() {
    Sheet::Section section;
    section.title = "whole step (forward + backward + update)";
    for (const Kind kind : {Kind::stem, Kind::depthwise, Kind::pointwise, Kind::fc, Kind::other}) {
      Total total;
      for (const Stage stage : {Stage::forward, Stage::backward, Stage::update}) total.add(kind_total(stage, kind));
      add_sum(section, fmt::format("all {}", name_of(kind)), total, step_.seconds, name_of(kind));
      if (kind == Kind::depthwise) add_figure("depthwise share of the kernels", "depthwise_share", total.seconds);
    }
    add_sum(section, "kernels of a step", step_, step_.seconds, "all");
    sheet_.sections.push_back(std::move(section));
    sheet_.figures.push_back({"kernels_seconds", {time_text(step_.seconds), step_.seconds}});
  }

  void add_int8_figure() {
    const Total& engine = stage_total(Stage::int8_forward);
    if (engine.seconds <= 0) return;
    const double times = engine.fp32 / engine.seconds;
    sheet_.figures.push_back(
        {"int8_times_f32",
         {fmt::format("{:.2f}x: the net's convolutions over codes against fp32, forward", times), times}});
  }

  void add_figure(const std::string& words, const std::string& key, double seconds) {
    const double share = seconds / step_.seconds;
    sheet_.figures.push_back({key, {fmt::format("{:.1f} %: {}", 100 * share, words), share}});
  }

  void add_notes() {
    sheet_.notes = {
        fmt::format(
            "{} pictures; every row was checked against the reference first and is the one that selection runs.",
            batch_),
        "time: of all equal layers together (column x); share: of the step's kernels, of the section for integers;",
        "of roof: max(ops / peak, bytes / memory) over the time; more than 100 % where operands stayed in a cache."};
  }

  const std::vector<Part>& parts_;
  const std::vector<Result>& results_;
  const Peaks& peaks_;
  std::int64_t batch_;
  Sheet sheet_;
  Total step_, stages_[kStages];
};

}  // namespace

Sheet network_sheet(const std::vector<Part>& parts, const std::vector<Result>& results, const Peaks& peaks,
                    std::int64_t batch) {
  return NetworkTable(parts, results, peaks, batch).make();
}

}  // namespace octet::bench
