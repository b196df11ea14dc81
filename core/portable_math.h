// exp, log, sin, cos from basic operations only, so that every machine computes the same bits (the C library picks
// other code on other processors). Accurate to a few ulp of double.
#pragma once

namespace octet::portable {

double exp(double x);
/// x > 0.
double log(double x);
/// |x| <= 1e6.
double sin(double x);
double cos(double x);

}  // namespace octet::portable
