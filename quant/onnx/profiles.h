// Which scheme goes into an ONNX file how.
#pragma once
#include <string>

namespace octet::quant {

/// What a family of runtimes wants to read.
struct OnnxProfile {
  /// true: activations are u8, s8 grids shifted by 128, and bounds narrower than u8's are a Clip of the codes, so that a layer's Q
  /// follows it directly and ONNX Runtime fuses the three. false (TensorRT): s8 of zero point 0 throughout, relu and bounds are
  /// float ops in front of Q, biases are always f32.
  bool is_unsigned = true;
};

/// Throws Error as require_onnx_profile() does, this build aside.
OnnxProfile profile_of(const std::string& scheme);

}  // namespace octet::quant
