// Solutions of lesson 3 (docs/course/03-straight-through.md). Tests check them: ctest -R Solution03.
#pragma once
#include <cmath>

#include "core/quant_params.h"

namespace octet::solution_03 {

/// Exercise 1. The gradient that training uses for dQ(x)/dx: 1 inside the grid, ends included, 0 where x is clipped.
inline float straight_through(float x, const QuantParams& grid) {
  const float steps = x / grid.step();
  return steps >= static_cast<float>(grid.lo - grid.zero_point) &&
                 steps <= static_cast<float>(grid.hi - grid.zero_point)
             ? 1.0f
             : 0.0f;
}

/// Exercise 2. w moves up by rate·(target − lower) while Q(w) is the lower code and down by rate·(upper − target) while
/// it is the upper one. In the long run both cancel, so share·(upper − target) = (1 − share)·(target − lower): the mean
/// of Q(w) is the target.
inline double share_of_upper_code(double target, double step) {
  const double lower = std::floor(target / step) * step;
  return (target - lower) / step;
}

/// Exercise 3. With the mask a clipped weight gets no gradient and never moves. Without it, it comes down by
/// rate·(end − target) a time, until it is at the grid's end.
inline int updates_to_come_back(double w, double end, double target, double rate) {
  return static_cast<int>(std::ceil((w - end) / (rate * (end - target))));
}

}  // namespace octet::solution_03
