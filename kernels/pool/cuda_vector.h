// Channels that a thread of the device pools.
#pragma once
#include <cstdint>

namespace octet::kernels {

/// 4 where c divides by it, but 1 where large windows leave few results (global averages), which a device's threads
/// then share better.
inline int pool_vector(std::int64_t pixels, std::int64_t c, std::int64_t taps) {
  constexpr std::int64_t kManyTaps = 16, kManyThreads = 1 << 17;
  if (c % 4 != 0) return 1;
  return taps >= kManyTaps && pixels * (c / 4) < kManyThreads ? 1 : 4;
}

}  // namespace octet::kernels
