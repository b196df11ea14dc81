// The float net teaches the quantized one (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network",
// 2015).
#pragma once
#include <memory>

#include "nn/module.h"
#include "optim/method.h"

namespace octet::quant {

/// The loss becomes (1 − w)·loss + w·T²·KL(teacher ‖ student), both softmaxes of logits divided by the temperature T
/// (ops::softmax_kl). The teacher runs every batch in evaluation mode, without gradients: a fit costs one more forward
/// pass of floats a step, and memory for the teacher's weights and for the values of that pass.
class Distillation : public optim::Method {
 public:
  /// `teacher` lies where the student does, and is left in evaluation mode. Throws Error unless 0 < w <= 1 and T > 0.
  Distillation(std::shared_ptr<nn::Module> teacher, double weight, double temperature);
  Variable loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) override;

 private:
  std::shared_ptr<nn::Module> teacher_;
  double temperature_;
  Tensor of_labels_, of_teacher_;  ///< 1 − w and w, f32 {1} where the nets lie
};

}  // namespace octet::quant
