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

// Written for T = double and T = Pair: the same operations, one or two numbers at a time.
using Pair = double __attribute__((vector_size(16)));
using BitPair = std::int64_t __attribute__((vector_size(16)));

double floor_of(double x) { return std::floor(x); }
Pair floor_of(Pair x) { return Pair{std::floor(x[0]), std::floor(x[1])}; }

template <class T>
struct Reduced {
  T high, low;  // x = quarter * pi/2 + high + low
  T quarter;    // 0, 1, 2 or 3
};

template <class T>
Reduced<T> reduce(T x) {
  const T k = floor_of(x * kTwoOverPi + 0.5);
  T high = x, low = x - x;
  for (double piece : kHalfPi) {
    // Knuth's two-sum: the rounding error of high - k * piece goes to low.
    const T b = -k * piece, sum = high + b, part = sum - high;
    low += (high - (sum - part)) + (b - part);
    high = sum;
  }
  const T sum = high + low;
  const T turns = floor_of(k / 4.0);
  return {sum, low - (sum - high), k - 4.0 * turns};
}

// Numbers of the series from their last terms on, as tables: a loop at run time would divide for them.
constexpr double kSinSteps[] = {19 * 18, 17 * 16, 15 * 14, 13 * 12, 11 * 10, 9 * 8, 7 * 6, 5 * 4, 3 * 2};
constexpr double kCosSteps[] = {20 * 19, 18 * 17, 16 * 15, 14 * 13, 12 * 11, 10 * 9, 8 * 7, 6 * 5, 4 * 3};
constexpr double kLogTerms[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3};

/// |r| <= pi/4; `low` is a correction far below an ulp of r.
template <class T>
T sin_series(T r, T low) {
  const T z = r * r;
  T p = z - z;
  for (const double step : kSinSteps) p = (1.0 + p) * (-z / step);
  return r + (r * p + low);
}

template <class T>
T cos_series(T r, T low) {
  const T z = r * r;
  T p = z - z;
  for (const double step : kCosSteps) p = (1.0 + p) * (-z / step);
  const T half = 0.5 * z, first = 1.0 - half;
  return first + (((1.0 - first) - half) - half * p - r * low);
}

/// log(2^k m), 1/√2 < m <= √2. log m = 2 (s + s^3/3 + s^5/5 …), s = f / (2 + f); and 2 s = f - s f keeps the leading term
/// exact.
template <class T>
T log_series(T k, T m) {
  const T f = m - 1.0, s = f / (2.0 + f), z = s * s;
  T p = z - z;
  for (const double term : kLogTerms) p = z * (term + p);
  return k * kLn2High + (f - (s * (f - 2.0 * p) - k * kLn2Low));
}

constexpr std::uint64_t kFraction = 0x000FFFFFFFFFFFFFu, kOne = 0x3FF0000000000000u;

/// log of normal positive numbers, two at a time.
Pair log_of(Pair x) {
  const auto bits = std::bit_cast<BitPair>(x);
  const BitPair exponent = (bits >> 52) - 1023;
  Pair m = std::bit_cast<Pair>((bits & static_cast<std::int64_t>(kFraction)) | static_cast<std::int64_t>(kOne));
  Pair k{static_cast<double>(exponent[0]), static_cast<double>(exponent[1])};
  const auto large = m > kSqrt2;
  k = large ? k + 1.0 : k;
  m = large ? m * 0.5 : m;
  return log_series(k, m);
}

/// Radius times cosine and sine, two at a time.
void polar(Pair u, Pair v, Pair& x, Pair& y) {
  constexpr double kTwoPi = 0x1.921fb54442d18p+2;
  const Pair square = -2.0 * log_of(u);
  const Pair radius{std::sqrt(square[0]), std::sqrt(square[1])};
  const Reduced<Pair> r = reduce(kTwoPi * v);
  const Pair s = sin_series(r.high, r.low), c = cos_series(r.high, r.low);
  const auto odd = (r.quarter == 1.0) | (r.quarter == 3.0);
  const Pair sine = odd ? c : s, cosine = odd ? s : c;
  y = radius * (r.quarter >= 2.0 ? -sine : sine);
  x = radius * (((r.quarter == 1.0) | (r.quarter == 2.0)) ? -cosine : cosine);
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
  double m = std::bit_cast<double>((bits & kFraction) | kOne);
  if (m > kSqrt2) {
    m *= 0.5;
    ++k;
  }
  return log_series<double>(k, m);
}

double sin(double x) {
  const Reduced<double> r = reduce(x);
  const int quarter = static_cast<int>(r.quarter);
  const double y = (quarter & 1) != 0 ? cos_series(r.high, r.low) : sin_series(r.high, r.low);
  return (quarter & 2) != 0 ? -y : y;
}

double cos(double x) {
  const Reduced<double> r = reduce(x);
  const int quarter = static_cast<int>(r.quarter);
  const double y = (quarter & 1) != 0 ? sin_series(r.high, r.low) : cos_series(r.high, r.low);
  return quarter == 1 || quarter == 2 ? -y : y;
}

void box_muller(std::int64_t count, const double* u, const double* v, double* x, double* y) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const std::int64_t j = i + 1 < count ? i + 1 : i;
    Pair cosines, sines;
    polar(Pair{u[i], u[j]}, Pair{v[i], v[j]}, cosines, sines);
    x[i] = cosines[0], y[i] = sines[0];
    x[j] = cosines[j - i], y[j] = sines[j - i];
  }
}

}  // namespace octet::portable
