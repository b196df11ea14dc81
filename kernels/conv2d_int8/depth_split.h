// How the device divides the depth of an integer convolution whose result has too few tiles for its multiprocessors.
// Sums of integers are the same in any order.
#pragma once
#include <algorithm>
#include <cstdint>

namespace octet::kernels {

struct DepthSplit {
  int chunks = 1;  ///< of the depth, none empty
  int steps = 0;   ///< of each; the last may have fewer
  friend bool operator==(const DepthSplit&, const DepthSplit&) = default;
};

/// tiles: blocks of the result, at least 1; steps: turns that a block takes through the whole depth.
inline DepthSplit depth_split(std::int64_t tiles, int steps) {
  constexpr std::int64_t kProcessors = 132;     // of a large device
  constexpr int kLeastSteps = 2, kWorthIt = 8;  // of a chunk; of a depth whose second kernel pays
  if (2 * tiles > kProcessors || steps < kWorthIt) return {1, steps};
  const auto wanted = static_cast<int>(std::min<std::int64_t>(2 * kProcessors / tiles, steps / kLeastSteps));
  const int each = (steps + wanted - 1) / wanted;
  return {(steps + each - 1) / each, each};
}

}  // namespace octet::kernels
