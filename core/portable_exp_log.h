// exp and log of core/portable_math.h for callers on both sides of a device, bit for bit the same. Elsewhere call those
// of portable_math.h.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/host_device.h"

namespace octet::portable {
namespace {

// ln 2 in pieces of 33 bits, so that an integer of 20 bits times a piece is exact.
constexpr double kLn2High = 0x1.62e42fef00000p-1;
constexpr double kLn2Low = 0x1.473de6af278edp-34;
constexpr double kOneOverLn2 = 0x1.71547652b82fep+0;
constexpr double kSqrt2 = 0x1.6a09e667f3bcdp+0;
constexpr std::uint64_t kFraction = 0x000FFFFFFFFFFFFFu, kOne = 0x3FF0000000000000u;

/// 2^k for a normal result.
inline OCTET_HD double power_of_two(int k) { return std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52); }

/// log(2^k m), 1/√2 < m <= √2. log m = 2 (s + s^3/3 + s^5/5 …), s = f / (2 + f); and 2 s = f - s f keeps the leading
/// term exact. T is double or numbers side by side.
template <class T>
inline OCTET_HD T log_series(T k, T m) {
  // Numbers of the series from its last term on, as a table: a loop at run time would divide for them.
  static constexpr double terms[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                     1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  const T f = m - 1.0, s = f / (2.0 + f), z = s * s;
  T p = z - z;
  for (const double term : terms) p = z * (term + p);
  return k * kLn2High + (f - (s * (f - 2.0 * p) - k * kLn2Low));
}

inline OCTET_HD double exp_of(double x) {
  if (x != x) return x;
  if (x > 709.79) return std::numeric_limits<double>::infinity();
  if (x < -745.14) return 0;
  const double k = floor(x * kOneOverLn2 + 0.5);
  const double high = x - k * kLn2High, low = -k * kLn2Low;
  const double r = high + low;
  double p = 0;
  for (int n = 14; n >= 2; --n) p = (1 + p) * (r / n);
  // 1 + r + r p, the large part last; r p is the series from r^2/2 on.
  const double tail = r * p + (low - (r - high));
  const double y = 1 + (r + tail);
  const int n = static_cast<int>(k), half = n / 2;  // in two steps: 2^n itself may not be a normal number
  return y * power_of_two(half) * power_of_two(n - half);
}

inline OCTET_HD double log_of(double x) {
  if (x != x || x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -std::numeric_limits<double>::infinity();
  if (x > std::numeric_limits<double>::max()) return x;
  int k = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1p54;
    k = -54;
  }
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  k += static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & kFraction) | kOne);
  if (m > kSqrt2) {
    m *= 0.5;
    ++k;
  }
  return log_series<double>(k, m);
}

}  // namespace
}  // namespace octet::portable
