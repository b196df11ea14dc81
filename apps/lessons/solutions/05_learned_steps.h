// Solutions of lesson 5 (docs/course/05-learned-steps.md). Tests check them: ctest -R Solution05.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>

namespace octet::solution_05 {

/// Exercise 1. x' = s·rint(x/s) inside the grid: the product rule gives rint(x/s) + s·d(rint(x/s))/ds, and the
/// straight-through estimator takes x/s for rint(x/s) in the second term, whose derivative is −x/s². Outside x' = s·lo
/// or s·hi.
inline float slope_of_step(float x, float s, float lo, float hi) {
  const float steps = x / s;
  if (steps < lo) return lo;
  if (steps > hi) return hi;
  return std::nearbyint(steps) - steps;
}

/// Exercise 2. y = clip(x, −α, α): only what is clipped depends on α.
inline float slope_of_alpha(std::span<const float> x, std::span<const float> gradient, float alpha) {
  float sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] > alpha) sum += gradient[i];
    if (x[i] < -alpha) sum -= gradient[i];
  }
  return sum;
}

/// Exercise 3. At rest the pull of the clipped values equals the decay: 2/n·Σ max(x − α, 0) = decay·α. The left side
/// falls with α and the right one rises: halve the interval.
inline double pact_at_rest(std::span<const float> x, double decay) {
  double low = 0, high = static_cast<double>(*std::max_element(x.begin(), x.end()));
  for (int i = 0; i < 60; ++i) {
    const double alpha = (low + high) / 2;
    double pull = 0;
    for (const float value : x)
      pull += 2 * std::max(static_cast<double>(value) - alpha, 0.0) / static_cast<double>(x.size());
    (pull > decay * alpha ? low : high) = alpha;
  }
  return low;
}

}  // namespace octet::solution_05
