// Lesson 1: what eight bits can hold. docs/course/01-eight-bits.md
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "apps/lessons/lesson.h"
#include "core/error.h"
#include "quant/quantizers/fake_quantizer.h"

using namespace octet;

namespace {

/// x → code → x'.
float there_and_back(float x, const QuantParams& grid) { return grid.dequantize(grid.quantize(x)); }

/// The formula of the lesson, written out. Octet's own is in core/qmath.h, and both must agree.
std::int32_t code_by_hand(float x, const QuantParams& grid) {
  const auto low = static_cast<float>(grid.lo - grid.zero_point), high = static_cast<float>(grid.hi - grid.zero_point);
  return static_cast<std::int32_t>(std::rint(std::clamp(x / grid.step(), low, high))) + grid.zero_point;
}

// 1. A few numbers on the grid of step 0.5 with eight codes: ties go to the even code, what lies outside is clipped.
void a_few_numbers() {
  QuantParams grid;
  grid.scale = {0.5f}, grid.zero_point = 2, grid.lo = 0, grid.hi = 7;
  fmt::print("1. step 0.5, zero point 2, codes 0 to 7: from {} to {}\n", grid.dequantize(0), grid.dequantize(7));
  for (const float x : {-1.3f, -0.25f, 0.0f, 0.6f, 0.75f, 1.25f, 9.0f})
    fmt::print("   {:5.2f} = {:4.1f} steps → code {} → {:4.1f}, error {:5.2f}\n", x, x / 0.5f, grid.quantize(x),
               there_and_back(x, grid), there_and_back(x, grid) - x);
}

// 2. Three ways to lay 256 codes over the values of one tensor, most of which are above zero.
void three_grids() {
  std::vector<float> values = lesson::normals(20000, 1, 1);
  for (float& x : values) x = x < 0 ? x / 4 : x;
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const quant::Range range{*least, *greatest};
  fmt::print("2. 20000 values from {:.3f} to {:.3f}, 8 bits\n", range.min, range.max);
  const std::pair<const char*, quant::Grid> kinds[] = {
      {"symmetric", {.narrow = true}}, {"unsigned", {.is_unsigned = true}}, {"affine", {.affine = true}}};
  for (const auto& [name, kind] : kinds) {
    const QuantParams grid = kind.over(range);
    for (const float x : values)
      OCTET_CHECK(code_by_hand(x, grid) == grid.quantize(x), "lesson", "the formula gives another code for {}", x);
    fmt::print("   {:9} codes {:4} to {:3}, zero point {:2}, step {:.5f}: rms error {:.5f}, step/√12 {:.5f}\n", name,
               grid.lo, grid.hi, grid.zero_point, grid.step(), lesson::rms_error(values, grid),
               grid.step() / std::sqrt(12.0f));
  }
}

// 3. What a bit is worth, for values that are spread evenly over the grid.
void signal_to_noise() {
  std::vector<float> even;
  for (int i = 0; i <= 100000; ++i) even.push_back(static_cast<float>(i) / 100000);
  double power = 0;
  for (const float x : even) power += (static_cast<double>(x) - 0.5) * (static_cast<double>(x) - 0.5);
  const double signal = std::sqrt(power / static_cast<double>(even.size()));
  fmt::print("3. evenly spread values: signal to noise");
  for (int bits = 2; bits <= 8; ++bits) {
    const QuantParams grid = quant::Grid{.bits = bits, .is_unsigned = true}.over({0, 1});
    fmt::print(", {} bits {:.1f} dB", bits, 20 * std::log10(signal / lesson::rms_error(even, grid)));
  }
  fmt::print("\n");
}

// The picture: three bits, so that one sees the steps.
chart::Svg picture() {
  const quant::Range range{-1, 3};
  const QuantParams symmetric = quant::Grid{.bits = 3, .narrow = true}.over(range);
  const QuantParams affine = quant::Grid{.bits = 3, .affine = true}.over(range);
  chart::LineChart values{.title = "Three bits over [−1, 3]",
                          .x_name = "x",
                          .y_name = "x'",
                          .series = {{"symmetric: 7 codes, step 1"}, {"affine: 8 codes, step 4/7"}, {"x' = x"}}};
  chart::LineChart errors{.title = "The error: within half a step inside the grid, without bound outside",
                          .x_name = "x",
                          .y_name = "x' − x",
                          .series = {{"symmetric"}, {"affine"}},
                          .height = 240};
  for (int i = -200; i <= 400; ++i) {
    const float x = static_cast<float>(i) / 100;
    const float a = there_and_back(x, symmetric), b = there_and_back(x, affine);
    values.series[0].points.push_back({x, a}), errors.series[0].points.push_back({x, a - x});
    values.series[1].points.push_back({x, b}), errors.series[1].points.push_back({x, b - x});
    values.series[2].points.push_back({x, x});
  }
  return chart::stacked("What a grid of three bits makes of x, and its error", {draw(values), draw(errors)});
}

chart::Svg teach() {
  a_few_numbers();
  three_grids();
  signal_to_noise();
  return picture();
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
