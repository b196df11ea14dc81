// Learned thresholds and steps that an update may have driven too low.
#pragma once
#include "core/tensor.h"

namespace octet::quant {

/// values[i] ← max(values[i], floors[i]) in place, or kMinScale where `floors` (f32, as many, on the same device) is
/// undefined; NaN stays. `values` f32 or f64.
void keep_at_least(const Tensor& values, const Tensor& floors);

}  // namespace octet::quant
