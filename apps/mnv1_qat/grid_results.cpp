#include "apps/mnv1_qat/grid_results.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/chart/charts.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

/// One row of the table: columns of one width, numbers to the right.
std::string line_of(const std::vector<std::string>& texts, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < texts.size(); ++i)
    line += i == 0 ? fmt::format("| {:{}} |", texts[i], widths[i]) : fmt::format(" {:>{}} |", texts[i], widths[i]);
  return line + "\n";
}

/// Letters, not bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string with_spread(const OverSeeds& value, std::size_t seeds, const char* form) {
  const std::string mean = fmt::format(fmt::runtime(form), 100 * value.mean);
  return seeds > 1 ? fmt::format("{} ± {:.2f}", mean, 100 * value.spread) : mean;
}

std::vector<std::string> texts_of(const GridResult& r) {
  std::string method = r.method;
  if (!r.failed.empty()) method += fmt::format(" ({} of {} failed)", r.failed.size(), r.failed.size() + r.seeds);
  if (r.seeds == 0) return {method, fmt::format("{}", r.bits), "", "", "", ""};
  const bool floats = r.method == kFloats;
  return {method,
          fmt::format("{}", r.bits),
          with_spread(r.top1, r.seeds, "{:.2f}"),
          floats ? "" : with_spread(r.difference, r.seeds, "{:+.2f}"),
          floats ? "" : fmt::format("{:.2f}", 100 * r.fake_quant_top1.mean),
          fmt::format("{:.0f}", static_cast<double>(r.packed_bytes) * 1e-3)};
}

/// Of fp32 a level, of each method a line over bits, times `unit`, as far as it is not below `least`. Lines stand a
/// little beside each other, so that their bars can be told apart.
std::vector<chart::Series> lines_of(const Grid& grid, const std::vector<GridResult>& results,
                                    OverSeeds GridResult::*value, double unit, double least) {
  constexpr double kBeyond = 0.25;
  const double apart = std::min(0.03, 0.4 / static_cast<double>(grid.methods.size()));
  const auto [fewest, most] = std::minmax_element(grid.bits.begin(), grid.bits.end());
  chart::Series level{.name = kFloats};
  for (const GridResult& r : results)
    if (r.method == level.name && r.seeds > 0)
      level.points = {{*fewest - kBeyond, unit * (r.*value).mean}, {*most + kBeyond, unit * (r.*value).mean}};
  std::vector<chart::Series> lines{level};
  for (std::size_t i = 0; i < grid.methods.size(); ++i) {
    chart::Series line{.name = grid.methods[i], .marked = true};
    const double beside = apart * (static_cast<double>(i) - static_cast<double>(grid.methods.size() - 1) / 2);
    for (const GridResult& r : results)
      if (r.method == line.name && r.seeds > 0 && unit * (r.*value).mean >= least) {
        line.points.push_back({r.bits + beside, unit * (r.*value).mean});
        line.spread.push_back(unit * (r.*value).spread);
      }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

OverSeeds over_seeds(const std::vector<double>& values) {
  OverSeeds all;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) all.mean += value / count;
  if (values.size() < 2) return all;
  double squares = 0;
  for (const double value : values) squares += (value - all.mean) * (value - all.mean);
  all.spread = std::sqrt(squares / (count - 1));
  return all;
}

std::vector<GridResult> results_of(const Grid& grid, const GridRows& rows) {
  std::vector<GridResult> results;
  const auto add = [&](const std::string& method, int bits) {
    GridResult result;
    result.method = method, result.bits = bits;
    std::vector<double> top1, top5, loss, fake_quant, difference;
    for (const std::uint64_t seed : grid.seeds) {
      const GridRow *row = rows.find(method, bits, seed), *floats = rows.find(kFloats, kFloatBits, seed);
      if (row == nullptr || floats == nullptr) continue;
      if (!row->error.empty()) result.failed.emplace(seed, row->error);
      if (!row->error.empty() || !floats->error.empty()) continue;
      ++result.seeds;
      top1.push_back(row->top1), top5.push_back(row->top5), loss.push_back(row->loss);
      fake_quant.push_back(row->fake_quant_top1), difference.push_back(row->top1 - floats->top1);
      result.packed_bytes = row->packed_bytes, result.file_bytes = row->file_bytes;
    }
    result.top1 = over_seeds(top1), result.top5 = over_seeds(top5), result.loss = over_seeds(loss);
    result.fake_quant_top1 = over_seeds(fake_quant), result.difference = over_seeds(difference);
    if (result.seeds + result.failed.size() > 0) results.push_back(std::move(result));
  };
  add(kFloats, kFloatBits);
  for (const int bits : grid.bits)
    for (const std::string& method : grid.methods) add(method, bits);
  return results;
}

std::string table_of(const Grid& grid, const std::vector<GridResult>& results) {
  std::vector<std::vector<std::string>> lines{
      {"method", "bits", "top-1, %", "to fp32", "fake-quantized", "packed, kB"}};
  for (const GridResult& result : results) lines.push_back(texts_of(result));
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += line_of(lines[i], widths);
    if (i > 0) continue;
    text += "|";
    for (std::size_t k = 0; k < widths.size(); ++k)
      text += (k == 0 ? "-" : " ") + std::string(widths[k], '-') + (k == 0 ? "-|" : ":|");
    text += "\n";
  }
  text += fmt::format(
      "\nTop-1 of the integer engine on {} test pictures of {}; to fp32: against the float net of the same seed, in "
      "points; "
      "fake-quantized: top-1 of the net with its quantizers; packed: weights in their bits, scales and biases.\n",
      grid.pictures, grid.data == "synthetic" ? "SYNTHETIC data, not CIFAR-10" : grid.data);
  if (grid.seeds.size() > 1)
    text +=
        fmt::format("Means over seeds {} to {} ± their standard deviation.\n", grid.seeds.front(), grid.seeds.back());
  return text;
}

std::string csv_of(const std::vector<GridResult>& results) {
  std::string text =
      "method,bits,seeds,failed,top1_mean,top1_spread,difference_mean,difference_spread,top5_mean,loss_mean,"
      "fake_quant_top1_mean,packed_bytes,file_bytes\n";
  for (const GridResult& r : results) {
    text += fmt::format("{},{},{},{},", r.method, r.bits, r.seeds, r.failed.size());
    text += r.seeds == 0 ? ",,,,,,,,"
                         : fmt::format("{},{},{},{},{},{},{},{},{}", r.top1.mean, r.top1.spread, r.difference.mean,
                                       r.difference.spread, r.top5.mean, r.loss.mean, r.fake_quant_top1.mean,
                                       r.packed_bytes, r.file_bytes);
    text += "\n";
  }
  return text;
}

std::string failures_of(const std::vector<GridResult>& results) {
  std::string text;
  for (const GridResult& r : results)
    for (const auto& [seed, why] : r.failed)
      text += fmt::format("\n{}, {} bits, seed {} failed: {}\n", r.method, r.bits, seed, why);
  return text;
}

Json json_of(const Grid& grid, const std::vector<GridResult>& results) {
  Json all = Json::array();
  for (const GridResult& r : results) {
    const auto scored = [&](Json value) { return r.seeds == 0 ? Json() : std::move(value); };
    const auto both = [&](const OverSeeds& value) { return scored({{"mean", value.mean}, {"spread", value.spread}}); };
    Json failures = Json::array();
    for (const auto& [seed, why] : r.failed) failures.push_back({{"seed", seed}, {"error", why}});
    all.push_back({{"method", r.method},
                   {"bits", r.bits},
                   {"seeds", r.seeds},
                   {"failed", r.failed.size()},
                   {"failures", failures},
                   {"top1", both(r.top1)},
                   {"difference", both(r.difference)},
                   {"top5", both(r.top5)},
                   {"loss", both(r.loss)},
                   {"fake_quant_top1", both(r.fake_quant_top1)},
                   {"packed_bytes", scored(r.packed_bytes)},
                   {"file_bytes", scored(r.file_bytes)}});
  }
  return {{"data", grid.data}, {"test_pictures", grid.pictures}, {"seeds", grid.seeds}, {"results", all}};
}

chart::Svg drawing_of(const Grid& grid, const std::vector<GridResult>& results) {
  constexpr double kNear = -5;  // points
  double highest = 1;
  for (const GridResult& r : results) highest = std::max(highest, 100 * (r.difference.mean + r.difference.spread));
  const std::string seeds =
      grid.seeds.size() > 1 ? fmt::format(", mean and spread of {} seeds", grid.seeds.size()) : "";
  const chart::LineChart whole{.title = fmt::format("Top-1 of the integer engine{}", seeds),
                               .x_name = "bits of weights and values",
                               .y_name = "top-1",
                               .series = lines_of(grid, results, &GridResult::top1, 1, 0),
                               .width = 720,
                               .height = 400,
                               .percent = true};
  const chart::LineChart near{.title = "The same against fp32 of the same seed, where it is near",
                              .x_name = whole.x_name,
                              .y_name = "points",
                              .series = lines_of(grid, results, &GridResult::difference, 100, kNear),
                              .width = whole.width,
                              .height = whole.height,
                              .low = kNear,
                              .high = highest};
  return chart::stacked("Accuracy of quantization methods over bits", {draw(whole), draw(near)});
}

}  // namespace octet::app
