// Lesson 4: observers and clipping. docs/course/04-observers.md
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "apps/lessons/lesson.h"
#include "quant/observers/observer.h"
#include "quant/quantizers/fake_quantizer.h"

using namespace octet;

namespace {

constexpr std::uint64_t kBatches = 60, kOdd = 20;  // in batch 20 one value is an outlier

/// What a ReLU lets through of normal values, 500 a batch.
std::vector<float> batch(std::uint64_t number) {
  std::vector<float> values = lesson::normals(500, 1, 40 + number);
  for (float& x : values) x = std::max(x, 0.0f);
  if (number == kOdd) values[0] = 12;
  return values;
}

struct Watcher {
  const char* name;
  std::shared_ptr<quant::Observer> observer;
};

// 1. Four observers see the same batches.
chart::Svg ranges() {
  const Watcher watchers[] = {{"largest so far", std::make_shared<quant::AbsMaxObserver>()},
                              {"of the last 10", std::make_shared<quant::RangeAbsMaxObserver>(10)},
                              {"moving average", std::make_shared<quant::MovingAverageAbsMaxObserver>(0.9)},
                              {"of each batch", nullptr}};
  chart::LineChart chart{
      .title = "The range that observers report", .x_name = "batch", .y_name = "range", .height = 260};
  for (const Watcher& watcher : watchers)
    chart.series.push_back({.name = watcher.name, .dots = watcher.observer == nullptr});
  for (std::uint64_t number = 0; number < kBatches; ++number) {
    const std::vector<float> values = batch(number);
    const float largest = *std::max_element(values.begin(), values.end());
    const bool told = number == kOdd - 1 || number == kOdd || number == kOdd + 5 || number == kBatches - 1;
    if (told) fmt::print("1. batch {:2}, largest value {:5.2f}:", number, largest);
    for (std::size_t i = 0; i < std::size(watchers); ++i) {
      float range = largest;
      if (watchers[i].observer != nullptr) {
        watchers[i].observer->observe(quant::Range{0, largest}, true);
        range = watchers[i].observer->range().max;
        if (told) fmt::print("  {} {:5.2f}", watchers[i].name, range);
      }
      chart.series[i].points.push_back({static_cast<double>(number), range});
    }
    if (told) fmt::print("\n");
  }
  return draw(chart);
}

/// rms error of the values on an unsigned grid that ends at `threshold`.
double error_of(const std::vector<float>& values, int bits, float threshold) {
  return lesson::rms_error(values, quant::Grid{.bits = bits, .is_unsigned = true}.over({0, threshold}));
}

// 2. Where to clip? A smaller threshold clips more and rounds finer.
chart::Svg thresholds() {
  std::vector<float> values = lesson::normals(20000, 1, 39);
  for (float& x : values) x = std::max(x, 0.0f);
  const float largest = *std::max_element(values.begin(), values.end());
  chart::LineChart chart{.title = "The error, by the threshold: clipping on the left, rounding on the right",
                         .x_name = "threshold, in σ",
                         .y_name = "rms error, in σ",
                         .low = 0,
                         .high = 0.32};
  for (const int bits : {2, 3, 4, 8}) {
    chart::Series curve{.name = fmt::format("{} bits", bits)};
    chart::Point best{0, 1};
    for (int i = 20; i <= 90; ++i) {
      const double threshold = i / 20.0, error = error_of(values, bits, static_cast<float>(threshold));
      curve.points.push_back({threshold, error});
      if (error < best.y) best = {threshold, error};
    }
    fmt::print(
        "2. {} bits: error {:.4f} with the largest value, {:.2f}, as threshold; the least is {:.4f}, at {:.2f}\n", bits,
        error_of(values, bits, largest), largest, best.y, best.x);
    chart.series.push_back(curve);
  }
  return draw(chart);
}

chart::Svg teach() {
  const chart::Svg over_time = ranges();
  return chart::stacked("Ranges that observers report, and the error by the clipping threshold",
                        {over_time, thresholds()});
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
