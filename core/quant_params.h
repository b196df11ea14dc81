// What a quantizer is, once its scale is known: plain numbers that layers, kernels, files and exporters share.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/qmath.h"

namespace octet {

/// A grid of integer codes. scale has one entry (per tensor) or one per channel of `axis`. Under QuantRule::onnx an
/// entry is the step; under QuantRule::paddle it is the threshold, whose step is threshold / hi.
struct QuantParams {
  std::vector<float> scale;
  std::int32_t zero_point = 0;
  std::int32_t lo = -127;
  std::int32_t hi = 127;
  int axis = -1;  ///< channel axis when scale.size() > 1: 0 for K,R,S,C weights
  QuantRule rule = QuantRule::onnx;

  bool per_channel() const { return scale.size() > 1; }
  /// True when codes need u8 storage (hi > 127), else they fit in s8.
  bool is_unsigned() const { return hi > 127; }
  /// The step of channel c as fp32: scale, or fl(scale / hi) under QuantRule::paddle.
  float step(std::size_t c = 0) const;
  std::int32_t quantize(float x, std::size_t c = 0) const;
  float dequantize(std::int32_t q, std::size_t c = 0) const;
  std::string str() const;
  friend bool operator==(const QuantParams&, const QuantParams&) = default;
};

/// Smallest step that a quantizer may have (2^-64): dead channels happen.
inline constexpr float kMinScale = 5.42101086e-20f;

}  // namespace octet
