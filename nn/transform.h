// What a slot holds: something that maps a tensor to a tensor of the same shape, such as a fake quantizer.
#pragma once
#include <optional>

#include "core/quant_params.h"
#include "nn/module.h"
#include "ops/ops.h"

namespace octet::nn {

/// What a slot leaves to the operation behind it.
struct DeferredQuant {
  std::optional<QuantParams> grid;  ///< none: the tensor passes as it is
  Tensor scale{};                   ///< f32 {1} on a device: the grid's, whose own is empty then
  bool masked = true;               ///< of the gradient, as in ops::fake_quant
};

/// Where an optimizer leaves what a weight's transform makes of the weight that it has just updated (kernels/momentum_many).
struct WeightTarget {
  QuantParams bounds;   ///< symmetric, without scale
  Tensor value, scale;  ///< as the weight; one per entry of axis 0
};

class Transform : public Module {
 public:
  virtual Variable apply(const Variable& src) = 0;
  Variable forward(const Variable& src) override { return apply(src); }
  /// The grid that apply() rounds to at present; none when it is no quantizer or has seen no data.
  virtual std::optional<QuantParams> params() const { return std::nullopt; }
  /// Stands for a call of apply() whose work a fused operation does itself: when apply() would be
  /// ops::fake_quant(src, grid, masked) on one scale under the onnx rule, or the identity, observes the tensor's range as
  /// apply() would the tensor, and says which. None, and nothing has happened: call apply(). `range`: the tensor's, as
  /// ops::range_of() has it, undefined where it is not known; `device`: where the tensor lies.
  virtual std::optional<DeferredQuant> defer(const Tensor& range, Device device) {
    (void)range, (void)device;
    return std::nullopt;
  }
  /// For the optimizer of a device: where to put what apply() would make of `weight`, so that apply() in training need not; none when
  /// it cannot be put. Whoever fills it says so, and takes it back before the weight changes otherwise.
  virtual std::optional<WeightTarget> weight_target(const Tensor& weight) {
    (void)weight;
    return std::nullopt;
  }
  virtual void set_target_filled(bool filled) { (void)filled; }
  /// What the last apply() returned, in codes: a weight on a symmetric grid of the onnx rule; else none.
  virtual std::optional<ops::WeightCodes> codes() const { return std::nullopt; }
};

}  // namespace octet::nn
