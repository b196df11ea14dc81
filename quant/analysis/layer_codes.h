// What the training-time model hands its layers, as codes: executor T, observed at its slots.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "quant/analysis/value_places.h"

namespace octet::quant {

/// The model must outlive it. Throws Error as make_plan() does.
class LayerCodes {
 public:
  LayerCodes(nn::Module& model, const Shape& shape, const QuantConfig& config);

  /// Evaluation forward of f32 N,H,W,C with fake quantizers, by plain passes: N,classes. `codes` gets every value that
  /// a quantizer in front of a convolution, linear layer, pool or addition has made: codes (u8, s8), N,H,W,C, under the
  /// names of the integer graph's values.
  Tensor run(const Tensor& pictures, NamedTensors& codes) const;

 private:
  nn::Module& model_;
  Plan plan_;
  std::vector<ValuePlace> places_;
};

}  // namespace octet::quant
