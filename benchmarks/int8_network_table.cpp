#include <fmt/format.h>

#include <algorithm>

#include "benchmarks/int8_network.h"
#include "benchmarks/statistics.h"

namespace octet::bench {
namespace {

double median(const Int8Side& side) { return quartiles_of(side.seconds).median; }
double least(const Int8Side& side) { return *std::min_element(side.seconds.begin(), side.seconds.end()); }

/// Median over rounds of the ratio within a round: what drifts between rounds cancels.
double ratio_of(const Int8Side& above, const Int8Side& below) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(above.seconds.size(), below.seconds.size()); ++i)
    ratios.push_back(above.seconds[i] / below.seconds[i]);
  return quartiles_of(std::move(ratios)).median;
}

struct Sums {
  double ops = 0, own = 0, pairs = 0, vendor = 0, own_least = 0, vendor_least = 0, worst = 0, worst_of_least = 0;
  bool with_pairs = false;
  std::string worst_layer, worst_of_least_layer;

  void add(const Int8Layer& layer) {
    if (layer.own.seconds.empty() || layer.vendor.seconds.empty()) return;
    const bool paired = !layer.pairs.seconds.empty();
    ops += layer.times * layer.ops;
    own += layer.times * median(layer.own);
    pairs += layer.times * median(paired ? layer.pairs : layer.own);
    vendor += layer.times * median(layer.vendor);
    own_least += layer.times * least(layer.own);
    vendor_least += layer.times * least(layer.vendor);
    with_pairs |= paired;
    if (const double ratio = ratio_of(layer.own, layer.vendor); ratio > worst) worst = ratio, worst_layer = layer.layer;
    if (const double ratio = least(layer.own) / least(layer.vendor); ratio > worst_of_least)
      worst_of_least = ratio, worst_of_least_layer = layer.layer;
  }
};

Value microseconds(double seconds) { return {fmt::format("{:.1f}", seconds * 1e6), seconds}; }
Value rate(double ops, double seconds) { return {fmt::format("{:.1f}", ops / seconds / 1e9), ops / seconds / 1e9}; }
Value ratio(double value) { return {fmt::format("{:.2f}", value), value}; }

Sheet::Line line_of(const Int8Layer& layer) {
  const Int8Side &own = layer.own, &vendor = layer.vendor, &pairs = layer.pairs;
  const bool has_own = !own.seconds.empty(), has_vendor = !vendor.seconds.empty(), has_pairs = !pairs.seconds.empty();
  Sheet::Line line;
  line.values = {Value(name_of(layer.kind)),
                 Value(layer.layer),
                 {layer.times == 1 ? "" : std::to_string(layer.times), std::int64_t{layer.times}},
                 Value(own.row),
                 has_own ? microseconds(median(own)) : Value(),
                 has_own ? Value("", least(own)) : Value(),
                 has_own ? rate(layer.ops, median(own)) : Value(),
                 has_vendor ? microseconds(median(vendor)) : Value(),
                 has_vendor ? Value("", least(vendor)) : Value(),
                 has_vendor ? rate(layer.ops, median(vendor)) : Value(),
                 has_own && has_vendor ? ratio(ratio_of(own, vendor)) : Value(),
                 has_pairs ? microseconds(median(pairs)) : Value(),
                 has_pairs && has_vendor ? ratio(ratio_of(pairs, vendor)) : Value()};
  for (const Int8Side* side : {&own, &pairs, &vendor})
    if (!side->error.empty() && line.values.size() == 13) line.values.push_back(Value(side->row + ": " + side->error));
  return line;
}

Sheet::Line sum_line(const Sums& s) {
  return {{Value("all"),
           Value("sum"),
           Value(),
           Value(),
           microseconds(s.own),
           {"", s.own_least},
           rate(s.ops, s.own),
           microseconds(s.vendor),
           {"", s.vendor_least},
           rate(s.ops, s.vendor),
           ratio(s.own / s.vendor),
           s.with_pairs ? microseconds(s.pairs) : Value(),
           s.with_pairs ? ratio(s.pairs / s.vendor) : Value()},
          true};
}

void add_figures(Sheet& sheet, const std::string& key, const Sums& s) {
  const auto add = [&](const char* name, double value, const std::string& words) {
    sheet.figures.push_back({key + name, {fmt::format("{:.3f}: {}", value, words), value}});
  };
  add("_sum_ratio", s.own / s.vendor, fmt::format("{} / {}, sums of medians", time_text(s.own), time_text(s.vendor)));
  add("_least_ratio", s.own_least / s.vendor_least,
      fmt::format("{} / {}, sums of least times", time_text(s.own_least), time_text(s.vendor_least)));
  if (s.with_pairs)
    add("_pairs_ratio", s.pairs / s.vendor,
        fmt::format("{} / {}, with the row of pairs where it runs", time_text(s.pairs), time_text(s.vendor)));
  add("_worst_ratio", s.worst, s.worst_layer + ", the worst layer");
  add("_worst_least_ratio", s.worst_of_least, s.worst_of_least_layer + ", the worst layer by least times");
  sheet.figures.push_back({key + "_worst_layer", {"", 0.0}});
  sheet.figures.back().second.data = s.worst_layer;
}

}  // namespace

Sheet int8_network_sheet(const std::vector<Int8Run>& runs) {
  Sheet sheet;
  sheet.name = "int8_network";
  sheet.columns = {{"kind", ""},
                   {"layer", "layer", true},
                   {"times", "x"},
                   {"row", "row", true},
                   {"seconds", "us"},
                   {"seconds_least", ""},
                   {"gops_per_second", "GOP/s"},
                   {"onednn_seconds", "oneDNN us"},
                   {"onednn_seconds_least", ""},
                   {"onednn_gops_per_second", "GOP/s"},
                   {"ratio", "ours/oneDNN"},
                   {"pairs_seconds", "pairs us"},
                   {"pairs_ratio", "pairs/oneDNN"},
                   {"error", "not measured", true}};
  for (const Int8Run& run : runs) {
    Sheet::Section section;
    section.title =
        fmt::format("{}: {} pictures, {} thread{}", run.key, run.batch, run.threads, run.threads == 1 ? "" : "s");
    Sums sums;
    for (const Int8Layer& layer : run.layers) {
      section.lines.push_back(line_of(layer));
      sums.add(layer);
    }
    if (sums.vendor > 0) {
      section.lines.push_back(sum_line(sums));
      add_figures(sheet, run.key, sums);
    }
    sheet.sections.push_back(std::move(section));
  }
  sheet.notes = {
      "us: of one layer, median over rounds in which all sides take turns; the sum counts equal layers (column x) as "
      "often as the net",
      "has them. row: the one that weights of 8 bits get; pairs: the one that few large weights allow. oneDNN: one "
      "primitive that sums,",
      "adds the bias, scales and stores codes. Ours have the reference's bits, oneDNN's codes are within one of them."};
  return sheet;
}

std::size_t failures_of(const std::vector<Int8Run>& runs) {
  std::size_t failed = 0;
  for (const Int8Run& run : runs)
    for (const Int8Layer& layer : run.layers)
      for (const Int8Side* side : {&layer.own, &layer.pairs, &layer.vendor}) failed += side->failed;
  return failed;
}

}  // namespace octet::bench
