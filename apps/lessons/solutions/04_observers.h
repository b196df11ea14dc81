// Solutions of lesson 4 (docs/course/04-observers.md). Tests check them: ctest -R Solution04.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>

#include "core/quant_params.h"

namespace octet::solution_04 {

/// Exercise 1. The outlier lifts the range to 0.9·1 + 0.1·10 = 1.9. After n more batches it is 1 + 0.9·0.9^n, and that
/// is at most 1.1 when n >= log(1/9) / log(0.9) = 20.9.
inline constexpr int kBatchesToForget = 21;

/// Exercise 2. The threshold in (0, max] with the least mean square error on the codes 0 to 2^bits − 1, one of a
/// hundred.
inline float best_threshold(std::span<const float> values, int bits) {
  const float largest = *std::max_element(values.begin(), values.end());
  float best = largest;
  double least = -1;
  for (int i = 1; i <= 100; ++i) {
    QuantParams grid;
    grid.lo = 0, grid.hi = (1 << bits) - 1;
    const float threshold = largest * static_cast<float>(i) / 100;
    grid.scale = {threshold / static_cast<float>(grid.hi)};
    double sum = 0;
    for (const float x : values) {
      const double error = static_cast<double>(grid.dequantize(grid.quantize(x)) - x);
      sum += error * error;
    }
    if (least < 0 || sum < least) least = sum, best = threshold;
  }
  return best;
}

/// Exercise 3. state and accum are geometric sums that start at 1: after n batches of the same largest value m,
/// state = rⁿ + (1 − rⁿ)/(1 − r) and accum = rⁿ + m·(1 − rⁿ)/(1 − r).
inline double paddle_range(double rate, double largest, int batches) {
  const double left = std::pow(rate, batches), gathered = (1 - left) / (1 - rate);
  return (left + largest * gathered) / (left + gathered);
}
/// With r = 0.9, m = 0.2 the range is (2 − rⁿ)/(10 − 9·rⁿ), at most 0.22 when rⁿ <= 0.204.
inline constexpr int kBatchesToSettle = 16;

}  // namespace octet::solution_04
