// What a slot holds: something that maps a tensor to a tensor of the same shape, such as a fake quantizer.
#pragma once
#include <optional>

#include "core/quant_params.h"
#include "nn/module.h"

namespace octet::nn {

class Transform : public Module {
 public:
  virtual Variable apply(const Variable& src) = 0;
  Variable forward(const Variable& src) override { return apply(src); }
  /// The grid that apply() rounds to at present; none when it is no quantizer or has seen no data.
  virtual std::optional<QuantParams> params() const { return std::nullopt; }
  /// Tells an observer the range of a tensor that a fused operation will quantize without calling apply().
  virtual void observe(float min, float max) { (void)min, (void)max; }
};

}  // namespace octet::nn
