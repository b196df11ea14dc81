// AdaRound through a net, layer by layer (Nagel et al., "Up or down? Adaptive rounding for post-training quantization",
// 2020).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/shape.h"
#include "quant/calibration/calibration_pictures.h"
#include "quant/calibration/learned_rounding.h"

namespace octet::quant {

struct RoundedLayer {
  std::string layer;  ///< path
  std::int64_t weights = 0, changed = 0;
  double nearest = 0, learned = 0;  ///< as in LearnedRounding
};

/// learn_rounding() for layer after layer of a prepared model that has seen data: the inputs are those of the quantized
/// net with the layers before it rounded, the outputs those of the float net. Weights are overwritten by what they are
/// rounded to, the largest of each grid left as it is, so that steps stay and any later quantization gives these codes.
/// Layers that run several times are left alone. `progress` counts steps over all layers. All inputs and outputs of one
/// layer are in memory at a time. Throws Error, with a hint, when the model lies on a device or a weight's step does
/// not follow from its largest weight alone.
std::vector<RoundedLayer> adaround(nn::Module& model, const Shape& shape, const data::Dataset& dataset,
                                   const CalibrateOptions& pictures = {}, const RoundingOptions& options = {},
                                   const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

}  // namespace octet::quant
