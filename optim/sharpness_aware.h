// Minima that stay low around: the gradient of a step is taken where the loss is worst nearby.
#pragma once
#include <cstdint>
#include <vector>

#include "optim/method.h"

namespace octet::optim {

struct SharpnessOptions {
  double radius = 0.1;         ///< ρ: how far the weights climb, an L2 norm over all of them together
  double label_smoothing = 0;  ///< of the loss that they climb: the fit's
  std::int64_t share = 4;      ///< one of so many pictures of a batch tells the way up
};

/// Sharpness-aware minimisation (Foret et al. 2021, equations 2 and 3): w climbs to w + ρ·g/‖g‖, g the gradient at w of the
/// cross entropy of the first pictures of the batch; the step's own gradient is taken there, and the optimizer has it at
/// w again. With g of a part of the batch (Du et al. 2022 take a part of the weights) a step costs 1 + 1/share of a
/// plain one. Batch norms' statistics and quantizers' observers see the pictures
/// of the climb too: their averages and windows move twice a step.
class SharpnessAware : public Method {
 public:
  /// The model must outlive it and lie on the processor. Throws Error for options out of range.
  SharpnessAware(nn::Module& model, const SharpnessOptions& options);
  void begin_fit(std::int64_t steps) override;
  void begin_batch(const data::Batch& batch) override;
  void before_update() override { come_down(); }
  /// Also when a step threw up there.
  void end_fit() override { come_down(); }

 private:
  struct Climbed {
    Variable parameter;
    Tensor before;
    double squares = 0;  ///< of its gradient, summed
  };
  template <class F>
  void for_each(const F& body);
  double gradient_norm();
  void come_down();

  nn::Module& model_;
  SharpnessOptions options_;
  std::vector<Climbed> parameters_;
  bool up_ = false;
};

}  // namespace octet::optim
