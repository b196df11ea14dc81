#include <fmt/format.h>

#include <algorithm>

#include "benchmarks/network_plan.h"
#include "benchmarks/statistics.h"
#include "benchmarks/step.h"

namespace octet::bench {
namespace {

double median_of(const std::vector<double>& values) { return quartiles_of(values).median; }

std::vector<double> all_seconds(const StepSide& side) {
  std::vector<double> all;
  for (const auto& round : side.rounds) all.insert(all.end(), round.begin(), round.end());
  return all;
}

/// Of the rounds' medians: what drifts from round to round cancels.
Quartiles ratio_of(const StepSide& side, const StepSide& base) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(side.rounds.size(), base.rounds.size()); ++i)
    ratios.push_back(median_of(side.rounds[i]) / median_of(base.rounds[i]));
  return quartiles_of(ratios);
}

const StepSide* find(const std::vector<StepSide>& sides, const char* name) {
  for (const StepSide& side : sides)
    if (side.name == name && side.error.empty()) return &side;
  return nullptr;
}

Value milliseconds(double seconds) { return {fmt::format("{:.1f}", seconds * 1e3), seconds}; }

/// Empty where a side does not count it.
Value count(double number) { return number < 0 ? Value() : Value(fmt::format("{:.1f}", number), number); }

/// The least time that the work of a step takes here when nothing overlaps.
double floor_of(const Work& work, const Peaks& peaks) {
  return work.ops / peaks.fma_gflops / 1e9 + work.bytes / peaks.memory_gbytes / 1e9;
}

/// `work` is null where it is not known: of narrower nets.
Sheet::Line line_of(const StepSide& side, const StepSide* base, const Work* work, const Peaks& peaks,
                    std::int64_t batch) {
  Sheet::Line line;
  line.values = {Value(side.name), Value(side.what)};
  if (!side.error.empty()) {
    line.values.resize(13);
    line.values[2].text = "ERROR " + side.error;
    line.values.push_back(Value(side.error));
    return line;
  }
  const Quartiles q = quartiles_of(all_seconds(side));
  const double rate = static_cast<double>(batch) / q.median;
  Value of_fma, times_floor;
  if (work != nullptr) {
    const double fma = work->ops / q.median / 1e9 / peaks.fma_gflops, times = q.median / floor_of(*work, peaks);
    of_fma = {fmt::format("{:.1f} %", 100 * fma), fma};
    times_floor = {fmt::format("{:.2f}x", times), times};
  }
  line.values.insert(line.values.end(), {milliseconds(q.median),
                                         milliseconds(q.low),
                                         milliseconds(q.high),
                                         {fmt::format("{:.0f}", rate), rate},
                                         of_fma,
                                         times_floor,
                                         base == nullptr ? Value()
                                                         : Value(fmt::format("{:.3f}", ratio_of(side, *base).median),
                                                                 ratio_of(side, *base).median),
                                         count(side.system_allocations),
                                         count(side.minor_faults),
                                         {fmt::format("{:.0f}", side.peak_rss_bytes / 1e6), side.peak_rss_bytes},
                                         Value(side.version)});
  return line;
}

void add_ratio(Sheet& sheet, const std::vector<StepSide>& sides, const char* above, const char* below) {
  const StepSide *a = find(sides, above), *b = find(sides, below);
  if (a == nullptr || b == nullptr) return;
  const Quartiles q = ratio_of(*a, *b);
  const std::string key = fmt::format("{}/{}", above, below);
  sheet.figures.push_back(
      {key, {fmt::format("{:.3f}  (quartiles over rounds {:.3f} to {:.3f})", q.median, q.low, q.high), q.median}});
  sheet.figures.push_back({key + " low", {"", q.low}});
  sheet.figures.push_back({key + " high", {"", q.high}});
}

}  // namespace

Sheet step_sheet(const std::vector<StepSide>& sides, const StepOptions& options, const Peaks& peaks) {
  Sheet sheet;
  sheet.name = "steps";
  sheet.columns = {{"side", "", true},
                   {"what", "side", true},
                   {"seconds", "median ms"},
                   {"seconds_low", "quartile"},
                   {"seconds_high", "quartile"},
                   {"pictures_per_second", "pictures/s"},
                   {"share_of_fma", "of FMA"},
                   {"times_floor", "x floor"},
                   {"over_fp32", "/ fp32"},
                   {"system_allocations", "allocations"},
                   {"minor_faults", "page faults"},
                   {"peak_rss_bytes", "peak MB"},
                   {"version", "version", true},
                   {"error", "", true}};
  const Work work = step_work(options.batch);
  const bool whole_net = options.scale == 1;
  Sheet::Section section;
  section.title = fmt::format("one training step of MobileNetV1, {} pictures, {} rounds of {} steps each",
                              options.batch, options.rounds, options.steps);
  const StepSide* base = find(sides, "fp32");
  for (const StepSide& side : sides)
    section.lines.push_back(line_of(side, base, whole_net ? &work : nullptr, peaks, options.batch));
  sheet.sections.push_back(std::move(section));

  const double floor = floor_of(work, peaks);
  if (whole_net)
    sheet.figures.push_back({"floor",
                             {fmt::format("{} = {:.2f} GFLOP / fma + {:.2f} GB / memory", time_text(floor),
                                          work.ops / 1e9, work.bytes / 1e9),
                              floor}});
  if (whole_net) sheet.figures.push_back({"forward floor", {"", floor_of(forward_work(options.batch), peaks)}});
  for (const char* peer : {"compile", "eager"}) add_ratio(sheet, sides, "fp32", peer);
  add_ratio(sheet, sides, "qat", "fp32");
  add_ratio(sheet, sides, "qat", "fx-qat");
  add_ratio(sheet, sides, "fp32-avx2", "eager");
  add_ratio(sheet, sides, "bf16", "fp32");
  if (const StepSide* peer = find(sides, "eager"); base != nullptr && peer != nullptr && peer->peak_rss_bytes > 0) {
    const double ratio = base->peak_rss_bytes / peer->peak_rss_bytes;
    sheet.figures.push_back({"peak memory fp32/eager", {fmt::format("{:.3f}", ratio), ratio}});
  }
  if (base != nullptr && !base->load_seconds.empty()) {
    const double load = median_of(base->load_seconds), share = load / median_of(all_seconds(*base));
    sheet.figures.push_back({"batch with crop and flip", {time_text(load), load}});
    sheet.figures.push_back(
        {"data share", {fmt::format("{:.2f} % of an fp32 step, as if nothing ran beside it", 100 * share), share}});
  }
  sheet.notes = {
      "allocations: requests that core/allocator.h could not serve from memory in hand, per step; page faults: minor "
      "ones, per step;",
      "x floor: of an fp32 step, also for QAT, whose integer products need less;",
      "/ fp32: median over rounds of the ratio within a round. All sides take turns, each in a process of its own."};
  return sheet;
}

}  // namespace octet::bench
