// PACT: a trainable clipping threshold in front of a quantizer (Choi et al. 2018, in PaddleSlim's symmetric form).
#pragma once
#include "nn/transform.h"

namespace octet::quant {

/// y = clip(x, −α, α) with a gradient to α (ops::pact). α is the parameter "alpha" {1}; it starts at the largest |x| of the first
/// tensor, where it clips nothing yet, and never falls below kMinScale. Buffer "started".
class Pact : public nn::Transform {
 public:
  Pact();
  std::string kind() const override { return "Pact"; }
  /// Throws Error before start().
  Variable apply(const Variable& src) override;
  /// Sets α at the first call, with the first tensor's largest |x|; later calls change nothing.
  void start(float abs_max);
  bool started() const;
  /// α; throws Error before start(). Waits for a device.
  float threshold() const;
  /// α where it lies, f32 {1}.
  const Tensor& alpha() const { return alpha_.value(); }

 private:
  Variable alpha_;
  Tensor started_;
};

}  // namespace octet::quant
