// Adam, for what is learned outside of a training: the rounding of a layer's weights.
#pragma once
#include <cstdint>
#include <vector>

#include "core/autograd.h"

namespace octet::optim {

struct AdamOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

/// Kingma & Ba, "Adam: a method for stochastic optimization", 2015: m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g²,
/// w ← w − lr·(m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε).
class Adam {
 public:
  /// Of one f32 parameter on the host.
  Adam(Variable parameter, const AdamOptions& options);
  /// Updates the parameter by its gradient, and forgets it. Throws Error when there is none.
  void step();

 private:
  Variable parameter_;
  AdamOptions options_;
  std::vector<double> mean_, square_;
  double decay1_ = 1, decay2_ = 1;  ///< β₁ᵗ, β₂ᵗ
};

}  // namespace octet::optim
