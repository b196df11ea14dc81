// Weights are pulled to the middles of their bins, so that few sit where codes flip (Nagel et al., "Overcoming
// oscillations in quantization-aware training", 2022).
#pragma once
#include <vector>

#include "nn/module.h"
#include "optim/method.h"

namespace octet::quant {

/// Adds λ·Σ (ŵ − clip(w))² over all quantized weights to the loss, ŵ their values on the grid, which count as constants
/// (ops::grid_distance). λ rises from 0 to `weight` by a cosine over the fit: early on, weights have to change their
/// codes. Where a batch norm folds into the weights, it is the folded ones that are pulled, and its γ with them.
class Dampening : public optim::Method {
 public:
  /// The model must outlive it. Throws Error when it has no quantized weights.
  Dampening(nn::Module& model, double weight);
  void begin_fit(std::int64_t steps) override { steps_ = steps; }
  void begin_step(std::int64_t step) override;
  Variable loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) override;
  /// λ in step `step` of `steps`.
  static double weight_at(double weight, std::int64_t step, std::int64_t steps);

 private:
  double weight_;
  std::vector<nn::Module*> layers_;
  std::int64_t steps_ = 0;
  Tensor lambda_;  ///< f32 {1}, where the model lies
};

}  // namespace octet::quant
