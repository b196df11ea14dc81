// Solutions of lesson 1 (docs/course/01-eight-bits.md). Tests check them: ctest -R Solution01.
#pragma once
#include <algorithm>
#include <cmath>

namespace octet::solution_01 {

/// Exercise 1. The grid of the codes 0 to 255 over [low, high].
struct AffineGrid {
  float step;
  int zero_point;
};
inline AffineGrid affine_grid(float low, float high) {
  // 0 must have a code of its own, because padding and ReLU make many zeros: the range is widened until it has 0.
  low = std::min(low, 0.0f), high = std::max(high, 0.0f);
  const float step = (high - low) / 255;
  // Code 0 stands for low = (0 − z)·step; z has to be a whole number.
  return {step, static_cast<int>(std::rint(-low / step))};
}

/// Exercise 2. Half to even, with std::floor alone.
inline float half_to_even(float x) {
  const float below = std::floor(x), rest = x - below;
  if (rest != 0.5f) return rest < 0.5f ? below : below + 1;
  const bool is_even = std::floor(below / 2) * 2 == below;
  return is_even ? below : below + 1;
}

/// Exercise 3. With n = 2^b − 1 steps, signal / noise = (n·step/√12) / (step/√12) = n, that is 20·log10(n) dB: 36.0 for
/// six bits, 42.1 for seven.
inline constexpr int kBitsFor40Decibels = 7;

}  // namespace octet::solution_01
