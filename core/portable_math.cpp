// Range reduction to a small interval, then the Taylor series of the function, which converges there within a few
// terms. Only + - * /, floor and bit operations: all of them exactly defined by IEEE 754.
#include "core/portable_math.h"

#include <cmath>

#include "core/portable_exp_log.h"

namespace octet::portable {
namespace {

// pi/2 in pieces of 33 bits, so that an integer of 20 bits times a piece is exact.
constexpr double kHalfPi[4] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34, 0x1.3198a2e000000p-69,
                               0x1.b839a252049c1p-104};
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;

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

double exp(double x) { return exp_of(x); }
double log(double x) { return log_of(x); }

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
