// exp, log, sin, cos from basic operations only, so that every machine computes the same bits (the C library picks
// other code on other processors). Accurate to a few ulp of double.
#pragma once
#include <cstdint>

namespace octet::portable {

double exp(double x);
/// x > 0.
double log(double x);
/// |x| <= 1e6.
double sin(double x);
double cos(double x);

/// Box & Muller 1958, for 0 <= i < count: radius √(−2·log u[i]), angle 2π·v[i]; x[i] = radius·cos(angle), y[i] =
/// radius·sin(angle). 0 < u <= 1, 0 <= v < 1. The bits that the functions above give; several at a time.
void box_muller(std::int64_t count, const double* u, const double* v, double* x, double* y);

}  // namespace octet::portable
