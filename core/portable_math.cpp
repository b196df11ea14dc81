// Range reduction to a small interval, then the Taylor series of the function, which converges there within a few
// terms. Only + - * /, floor and bit operations: all of them exactly defined by IEEE 754.
#include "core/portable_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace octet::portable {
namespace {

// ln 2 and pi/2 in pieces of 33 bits, so that an integer of 20 bits times a piece is exact.
constexpr double kLn2High = 0x1.62e42fef00000p-1;
constexpr double kLn2Low = 0x1.473de6af278edp-34;
constexpr double kHalfPi[4] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34, 0x1.3198a2e000000p-69,
                               0x1.b839a252049c1p-104};
constexpr double kOneOverLn2 = 0x1.71547652b82fep+0;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
constexpr double kSqrt2 = 0x1.6a09e667f3bcdp+0;

/// 2^k for a normal result.
double power_of_two(int k) { return std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52); }

struct Reduced {
  double high, low;  // x = quarter * pi/2 + high + low
  int quarter;       // modulo 4
};

Reduced reduce(double x) {
  const double k = std::floor(x * kTwoOverPi + 0.5);
  double high = x, low = 0;
  for (double piece : kHalfPi) {
    // Knuth's two-sum: the rounding error of high - k * piece goes to low.
    const double b = -k * piece, sum = high + b, part = sum - high;
    low += (high - (sum - part)) + (b - part);
    high = sum;
  }
  const double sum = high + low;
  const double turns = std::floor(k / 4);
  return {sum, low - (sum - high), static_cast<int>(k - 4 * turns)};
}

/// |r| <= pi/4; `low` is a correction far below an ulp of r.
double sin_series(double r, double low) {
  const double z = r * r;
  double p = 0;
  for (int n = 19; n >= 3; n -= 2) p = (1 + p) * (-z / (static_cast<double>(n) * (n - 1)));
  return r + (r * p + low);
}

double cos_series(double r, double low) {
  const double z = r * r;
  double p = 0;
  for (int n = 20; n >= 4; n -= 2) p = (1 + p) * (-z / (static_cast<double>(n) * (n - 1)));
  const double half = 0.5 * z, first = 1 - half;
  return first + (((1 - first) - half) - half * p - r * low);
}

}  // namespace

double exp(double x) {
  if (x != x) return x;
  if (x > 709.79) return std::numeric_limits<double>::infinity();
  if (x < -745.14) return 0;
  const double k = std::floor(x * kOneOverLn2 + 0.5);
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

double log(double x) {
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
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  if (m > kSqrt2) {
    m *= 0.5;
    ++k;
  }
  // log m = 2 (s + s^3/3 + s^5/5 …), s = f / (2 + f); and 2 s = f - s f keeps the leading term exact.
  const double f = m - 1, s = f / (2 + f), z = s * s;
  double p = 0;
  for (int n = 23; n >= 3; n -= 2) p = z * (1.0 / n + p);
  const double n = k;
  return n * kLn2High + (f - (s * (f - 2 * p) - n * kLn2Low));
}

double sin(double x) {
  const Reduced r = reduce(x);
  const double y = (r.quarter & 1) != 0 ? cos_series(r.high, r.low) : sin_series(r.high, r.low);
  return (r.quarter & 2) != 0 ? -y : y;
}

double cos(double x) {
  const Reduced r = reduce(x);
  const double y = (r.quarter & 1) != 0 ? sin_series(r.high, r.low) : cos_series(r.high, r.low);
  return r.quarter == 1 || r.quarter == 2 ? -y : y;
}

}  // namespace octet::portable
