// Solutions of lesson 6 (docs/course/06-few-bits.md). Tests check them: ctest -R Solution06.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace octet::solution_06 {

/// Exercise 1. With the target a share d of a step above the lower code, Q(w) is the upper code in d of all updates
/// (lesson 3). The rarer of the two codes never comes twice in a row, and to each time belong two flips. The rate
/// scales all moves of w alike, so it does not matter.
inline double flips_per_update(double target, double step) {
  const double d = target / step - std::floor(target / step);
  return 2 * std::min(d, 1 - d);
}

/// Exercise 2. Flips against the direction of the flip before (Nagel et al. 2022, section 3.2).
inline int oscillations(std::span<const std::int32_t> codes) {
  int count = 0, last = 0;
  for (std::size_t i = 1; i < codes.size(); ++i) {
    const int direction = (codes[i] > codes[i - 1]) - (codes[i] < codes[i - 1]);
    if (direction == 0) continue;
    count += direction == -last;
    last = direction;
  }
  return count;
}

/// Exercise 3. The moving average of the codes comes near the target, in steps, since the mean of Q(w) is the target:
/// its nearest whole number is the better of the two codes.
inline std::int32_t frozen_code(std::span<const std::int32_t> codes, double rate) {
  double average = codes[0];
  for (const std::int32_t code : codes) average = rate * average + (1 - rate) * code;
  return static_cast<std::int32_t>(std::lround(average));
}

}  // namespace octet::solution_06
