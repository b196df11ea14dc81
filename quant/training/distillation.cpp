#include "quant/training/distillation.h"

#include <cmath>

#include "ops/ops.h"

namespace octet::quant {

Distillation::Distillation(std::shared_ptr<nn::Module> teacher, double weight, double temperature)
    : teacher_(std::move(teacher)), temperature_(temperature) {
  constexpr const char* kWhere = "distill";
  OCTET_CHECK(teacher_ != nullptr, kWhere, "there is no float net to learn from");
  OCTET_CHECK(weight > 0 && weight <= 1, kWhere, "the teacher's weight is {}, it must be above 0 and at most 1",
              weight);
  OCTET_CHECK(temperature > 0 && std::isfinite(temperature), kWhere, "temperature {} is not a positive number",
              temperature);
  of_labels_ = Tensor::full({1}, 1 - weight, DType::f32, teacher_->device());
  of_teacher_ = Tensor::full({1}, weight, DType::f32, teacher_->device());
  teacher_->eval();
}

Variable Distillation::loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) {
  const Tensor taught = [&] {
    const NoGrad no_grad;
    return (*teacher_)(Variable(batch.images)).value();
  }();
  const Variable divergence = ops::softmax_kl(logits, taught, temperature_);
  return ops::add(ops::mul_constant(so_far, of_labels_), ops::mul_constant(divergence, of_teacher_));
}

}  // namespace octet::quant
