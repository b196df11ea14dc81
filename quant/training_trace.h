// What training does to a net's grids: scales, clipping, and codes that flip from step to step.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "nn/module.h"

namespace octet::quant {

/// One layer with a quantized weight, as it is after a step. Shares are of its weights, or of the values that enter it.
struct LayerTrace {
  std::string layer;                                ///< path
  double weight_step = 0;                           ///< mean over its channels
  double weight_clipped = 0;                        ///< more than half a step beyond the grid
  double flips = 0;                                 ///< codes that changed, per step since the last look()
  double oscillating = 0;                           ///< weights whose flips keep changing direction (see TrainingTrace)
  std::optional<double> value_step, value_clipped;  ///< none before the input's quantizer has seen data
};

/// Follows the codes of every quantized weight over the steps of a training. A weight oscillates when its code flips
/// against the direction of its flip before; its frequency is the moving average f ← (1 − m)·f + m·[oscillated], m =
/// 0.01, and it counts as oscillating above 0.005 (Nagel et al., "Overcoming oscillations in quantization-aware
/// training", 2022, section 3.2).
class TrainingTrace {
 public:
  /// `pictures` f32 N,H,W,C, a few, show what enters the layers. The model must outlive it.
  TrainingTrace(nn::Module& model, Tensor pictures);
  /// After every step.
  void step();
  /// All layers in the order of the net. Runs the pictures in evaluation mode; training is not disturbed.
  std::vector<LayerTrace> look();

 private:
  struct Weight {
    std::string layer;
    nn::Module* module = nullptr;
    std::vector<std::int8_t> codes, direction;  ///< of the last flip: −1, 0 (none yet) or 1
    std::vector<float> frequency;
    std::int64_t flips = 0;
  };
  nn::Module& model_;
  Tensor pictures_;
  std::vector<Weight> weights_;
  std::int64_t steps_ = 0;  ///< since the last look()
};

}  // namespace octet::quant
