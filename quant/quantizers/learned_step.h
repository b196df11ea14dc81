// LSQ: the step is a parameter (Esser et al., "Learned step size quantization", 2020); LSQ+: so is an offset (Bhalgat
// et al., "LSQ+: Improving low-bit quantization through learnable offsets and better initialization", 2020).
#pragma once
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

/// Parameter "step" {1} or {channels}; buffers "started" and "floor". Starts at 2·E|x| / √hi of the first tensor; its
/// gradient is scaled by 1/√(N·hi), N the elements that a step serves (per picture, for activations). An update may not
/// take it below 1/64 of where it started, so that a rash one does not collapse the grid. Rule onnx under every scheme.
///
/// On an affine grid, of activations, it is LSQ+: parameter "offset" {1}, β ≤ 0 in the values' unit, with the step's
/// gradient scale; both start where the first tensor's squared rounding error is least. The zero point is −β/step,
/// rounded, so that 0 is a code, as padding and integer arithmetic want it; β is kept where that lies on the grid.
/// Every pass waits for a device.
class LearnedStepQuantizer : public FakeQuantizer {
 public:
  /// Activations have one step; weights one, or one per output channel.
  static std::shared_ptr<LearnedStepQuantizer> for_activation(const Grid& grid);
  static std::shared_ptr<LearnedStepQuantizer> for_weight(const Grid& grid, std::int64_t channels);
  LearnedStepQuantizer(const Grid& grid, std::int64_t channels, bool is_weight);
  std::string kind() const override { return "LearnedStepQuantizer"; }
  std::optional<QuantParams> params() const override;
  std::optional<QuantParams> params_for(const Tensor& src) const override;
  std::optional<WeightGrid> weight_grid(const Tensor& weight) const override;

 protected:
  void watch(const Variable& src, bool starts_step) override;
  Variable quantize(const Variable& src) override;
  Tensor scale_there() const override { return started() ? step_.value() : Tensor(); }

 private:
  bool started() const;
  std::vector<float> initial_steps(const Tensor& src) const;
  /// The grid over the range that loses least of a first tensor.
  QuantParams first_affine_grid(const Tensor& src) const;
  /// That of the offset, for this step.
  std::int32_t zero_point(float step) const;
  Variable quantize_affine(const Variable& src, double gradient_scale);
  void start(const Tensor& src);
  Grid grid_;
  bool is_weight_;
  Variable step_, offset_;  ///< the offset: of affine grids only
  Tensor started_, floor_;
};

}  // namespace octet::quant
