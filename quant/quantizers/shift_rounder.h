// Rounds a bias, or the shift of a batch-norm affine, to the accumulator's step while training: ops::round_shift with the
// steps of the layer's own quantizers.
#pragma once
#include <memory>

#include "nn/transform.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

/// For the slots affine_transform (affine {2, c}) and bias_transform (bias {c}). It shares the quantizers without owning their
/// state. Passes its tensor through until both know their grid.
class ShiftRounder : public nn::Transform {
 public:
  ShiftRounder(std::shared_ptr<FakeQuantizer> input, std::shared_ptr<FakeQuantizer> weight);
  std::string kind() const override { return "ShiftRounder"; }
  Variable apply(const Variable& src) override;

 private:
  std::shared_ptr<FakeQuantizer> input_, weight_;
};

}  // namespace octet::quant
