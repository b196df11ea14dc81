// The codes of a quantizer, and how steps and zero points follow from a range.
#pragma once
#include "core/quant_params.h"

namespace octet::quant {

struct Range {
  float min = 0, max = 0;
  /// max(|min|, |max|).
  float abs_max() const;
};

/// The grid of a quantizer apart from its scale.
struct Grid {
  int bits = 8;
  bool is_unsigned = false;  ///< [0, 2^bits − 1], zero point 0
  bool affine = false;       ///< unsigned with a zero point from the range (onnx rule only)
  bool narrow =
      false;  ///< signed: [−(2^(bits−1) − 1), 2^(bits−1) − 1] instead of from −2^(bits−1): weights, paddle, values that are clipped at both ends alike
  QuantRule rule = QuantRule::onnx;
  bool power_of_two =
      false;  ///< steps are rounded up to powers of two (Jain et al. 2020), so that shifts can rescale; onnx rule only

  /// lo, hi, zero point 0 and rule; no scale.
  QuantParams bounds() const;
  /// The grid over a range: step (threshold under paddle) from its abs-max, at least kMinScale; affine: over
  /// [min(min, 0), max(max, 0)], where 0 is a code.
  QuantParams over(const Range& range) const;
};

}  // namespace octet::quant
