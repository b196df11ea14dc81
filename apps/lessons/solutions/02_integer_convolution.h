// Solutions of lesson 2 (docs/course/02-integer-convolution.md). Tests check them: ctest -R Solution02.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>

namespace octet::solution_02 {

/// Exercise 1. A 3x3 window over c channels has 9·c products, none larger than 255·127. Their sum stays below 2^31 as
/// long as c <= (2^31 − 1) / (9·255·127).
inline constexpr std::int64_t kMostChannels = 2147483647 / (9 * 255 * 127);  // 7367

/// Exercise 2. Σ (q_x − z)·q_w + q_b = Σ q_x·q_w + (q_b − z·Σ q_w): what is in brackets is known before any picture
/// comes.
inline std::int32_t bias_with_zero_point(std::span<const std::int8_t> weight, std::int32_t bias,
                                         std::int32_t zero_point) {
  for (const std::int8_t w : weight) bias -= zero_point * w;
  return bias;
}

/// Exercise 3. M = m·2^−shift with 2^30 <= m < 2^31, as Jacob et al. 2018 have it for processors without floats. m is
/// exact, because a float has 24 digits. Another code is rare but possible: ties go up here and to the even code there, and
/// float(a)·M is itself rounded, so a sum on a tie or next to one may differ by 1.
struct FixedPoint {
  std::int64_t m;
  int shift;
};
inline FixedPoint fixed_point(float multiplier) {
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(multiplier), &exponent);  // in [0.5, 1)
  return {static_cast<std::int64_t>(std::ldexp(fraction, 31)), 31 - exponent};
}
/// a·M to the nearest integer, ties upwards: half of what will be cut off is added first.
inline std::int64_t scaled(std::int32_t a, FixedPoint by) {
  return (a * by.m + (std::int64_t{1} << (by.shift - 1))) >> by.shift;
}

}  // namespace octet::solution_02
