#include "quant/training/dampening.h"

#include "nn/layers.h"
#include "ops/ops.h"
#include "optim/schedule.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/training/weight_grids.h"

namespace octet::quant {

Dampening::Dampening(nn::Module& model, double weight)
    : weight_(weight), lambda_(Tensor::zeros({1}, DType::f32, model.device())) {
  require_weight_grids(model, "dampening");
  for (const auto& [path, layer] : layers_with_weight_grids(model)) layers_.push_back(layer);
}

double Dampening::weight_at(double weight, std::int64_t step, std::int64_t steps) {
  return weight - optim::Schedule{optim::ScheduleKind::cosine, weight}.at(step, steps);
}

void Dampening::begin_step(std::int64_t step) {
  lambda_.copy_from(Tensor::full({1}, weight_at(weight_, step, steps_)));
}

Variable Dampening::loss(const Variable& so_far, const data::Batch&, const Variable&) {
  Variable sum;
  for (const nn::Module* layer : layers_) {
    const Variable weight = nn::effective_weight_of(*layer);
    const auto grid = quantizer_in(*layer, "weight_transform")->weight_grid(weight.value());
    if (!grid) continue;
    const Variable distance = ops::grid_distance(weight, grid->bounds, grid->scale);
    sum = sum.defined() ? ops::add(sum, distance) : distance;
  }
  return sum.defined() ? ops::add(so_far, ops::mul_constant(sum, lambda_)) : so_far;
}

}  // namespace octet::quant
