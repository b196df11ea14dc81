// Where the grid of a weight ends: its largest value, or a threshold that clips the rest.
#pragma once
#include "core/quant_params.h"
#include "core/tensor.h"
#include "quant/config.h"

namespace octet::quant {

/// How a threshold follows from values.
enum class Clipping {
  none,        ///< the largest |w|
  percentile,  ///< the smallest |w| that at least `percentile` % of all |w| do not exceed
  kl,          ///< of the whole: least divergence of the clipped and grouped |w| from all (kernels/histogram)
  sawb,        ///< statistics-aware weight binning (sawb.h): from the root of the mean square and the mean of |w|
  mse,  ///< of 128 fractions of the largest |w|, that of least squared rounding error (kernels/fake_quant, mse_top)
};

struct WeightRange {
  bool per_channel = true;  ///< a threshold for each entry of axis 0, else one for the whole
  Clipping clipping = Clipping::none;
  double percentile = 100;
};

/// As config.weight_quantize_type says; that of learned steps is none.
WeightRange weight_range(const QuantConfig& config);

/// The thresholds of a weight (f32 or f64) on the symmetric grid `bounds`: f32 {1} or one per entry of axis 0, where the
/// weight lies; not finite where the weight is not.
Tensor thresholds(const WeightRange& range, const Tensor& weight, const QuantParams& bounds);

}  // namespace octet::quant
