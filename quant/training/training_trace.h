// What training does to a net's grids: scales, clipping, and codes that flip from step to step.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "nn/module.h"
#include "quant/training/code_history.h"
#include "quant/training/oscillation_freezing.h"

namespace octet::quant {

/// One layer with a quantized weight, as it is after a step. Shares are of its weights, or of the values that enter it.
struct LayerTrace {
  std::string layer;                                ///< path
  double weight_step = 0;                           ///< mean over its channels
  double weight_clipped = 0;                        ///< more than half a step beyond the grid
  double flips = 0;                                 ///< codes that changed, per step since the last look()
  double oscillating = 0;                           ///< weights whose flips keep changing direction (see TrainingTrace)
  double frozen = 0;                                ///< weights that OscillationFreezing holds
  std::optional<double> value_step, value_clipped;  ///< none before the input's quantizer has seen data
};

/// Follows the codes of every quantized weight over the steps of a training (code_history.h). A weight counts as oscillating
/// above a frequency of 0.005, with a momentum of 0.01.
class TrainingTrace {
 public:
  /// `pictures` f32 N,H,W,C, a few, show what enters the layers. The model must outlive it, and `freezing`, which may be null.
  TrainingTrace(nn::Module& model, Tensor pictures, const OscillationFreezing* freezing = nullptr);
  /// Takes the codes that the first step starts from; without it that step has nothing before it. May be left out.
  void begin();
  /// After every step.
  void step();
  /// All layers in the order of the net. Runs the pictures in evaluation mode; training is not disturbed. Throws Diverged where a value is
  /// not finite.
  std::vector<LayerTrace> look();

 private:
  LayerTrace look_at(CodeHistory& history) const;
  nn::Module& model_;
  Tensor pictures_;
  const OscillationFreezing* freezing_;
  std::vector<CodeHistory> histories_;
  std::int64_t steps_ = 0;  ///< since the last look()
};

}  // namespace octet::quant
