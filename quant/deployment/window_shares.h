// How often the taps of a window see the picture rather than its padding.
#pragma once
#include <vector>

#include "kernels/problem.h"

namespace octet::quant {

/// Per tap, r·s of them in order: the share of output pixels for which it lies inside the picture.
std::vector<double> window_shares(const kernels::ConvGeometry& geometry);

}  // namespace octet::quant
