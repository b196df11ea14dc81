// 2^x in float from basic operations only, so that every machine, and a device, computes the same bits, and loops over it become
// vectors. In double: portable_math.h.
#pragma once
#include <bit>
#include <cstdint>

#include "core/host_device.h"

namespace octet::portable {
namespace {  // internal linkage: compiled for each side and each instruction set

/// For |x| <= 126, to 2e-7 of the value: the power of the nearest whole number times the series of what is left.
inline OCTET_HD float exp2_of(float x) {
  constexpr float kRound = 12582912;  // 1.5·2^23: adding it rounds to a whole number
  const float k = (x + kRound) - kRound, f = x - k;
  const float p =
      1 +
      f * (0.693147182f + f * (0.240226507f + f * (0.0555041087f +
                                                   f * (0.00961812911f + f * (0.00133335581f + f * 0.000154035304f)))));
  return std::bit_cast<float>((static_cast<std::int32_t>(k) + 127) << 23) * p;
}

}  // namespace
}  // namespace octet::portable
