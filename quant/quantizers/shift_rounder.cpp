#include "quant/quantizers/shift_rounder.h"

#include "ops/ops.h"

namespace octet::quant {

ShiftRounder::ShiftRounder(std::shared_ptr<FakeQuantizer> input, std::shared_ptr<FakeQuantizer> weight)
    : input_(std::move(input)), weight_(std::move(weight)) {}

Variable ShiftRounder::apply(const Variable& src) {
  if (!input_->quantizing() || !weight_->quantizing()) return src;
  const Tensor x = input_->steps(), w = weight_->steps();
  if (!x.defined() || !w.defined()) return src;
  return ops::round_shift(src, x, w);
}

}  // namespace octet::quant
