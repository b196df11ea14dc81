#include "quant/shift_rounder.h"

#include "ops/ops.h"

namespace octet::quant {

ShiftRounder::ShiftRounder(std::shared_ptr<FakeQuantizer> input, std::shared_ptr<FakeQuantizer> weight)
    : input_(std::move(input)), weight_(std::move(weight)) {}

Variable ShiftRounder::apply(const Variable& src) {
  if (!input_->quantizing() || !weight_->quantizing()) return src;
  const auto x = input_->params(), w = weight_->params();
  if (!x || !w) return src;
  std::vector<float> steps;
  for (std::size_t c = 0; c < w->scale.size(); ++c) steps.push_back(w->step(c));
  return ops::round_shift(src, x->step(), steps);
}

}  // namespace octet::quant
