// Solutions of lesson 7 (docs/course/07-cycles.md). Tests check them: ctest -R Solution07.
#pragma once
#include <cstdint>
#include <span>

namespace octet::solution_07 {

/// Exercise 1. Two products of 255 and w must stay at or below 32767: w <= 32767 / 510 = 64.2. Seven bits.
inline constexpr int kLargestSafeWeight = 64;

/// Exercise 2. x = (x + 128) − 128: the instruction gets x + 128, which is unsigned, and the sum starts at −128·Σ w.
inline std::int32_t dot_signed(std::span<const std::int8_t> x, std::span<const std::int8_t> w) {
  std::int32_t sum = 0;
  for (const std::int8_t weight : w) sum -= 128 * weight;  // known beforehand
  for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<std::uint8_t>(x[i] + 128) * w[i];
  return sum;
}

/// Exercise 3. 2·b·1024² operations on 1024² + 2048·b bytes; the roof's edge is at 256 / 8 = 32 operations a byte:
/// b >= 32·1024² / (2·1024² − 32·2048) = 16.5.
inline constexpr int kPicturesAtTheEdge = 17;

}  // namespace octet::solution_07
