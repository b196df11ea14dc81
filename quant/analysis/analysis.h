// What quantization does to a net, layer by layer, and what looks wrong about it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"
#include "quant/analysis/accumulators.h"
#include "quant/analysis/grid_use.h"
#include "quant/config.h"

namespace octet::quant {

/// A node of the net as an integer machine sees it (plan.h): what it multiplies by, and what it makes.
struct LayerAnalysis {
  std::string layer;  ///< path; "input" for the picture
  std::string op;     ///< "conv2d", "dwconv2d", "add" …
  std::optional<GridUse> weight;
  std::optional<GridUse> value;  ///< what it makes, on the grid of its reader; none for floats, the logits among them
  std::optional<AccumulatorUse> accumulator;  ///< of a layer with weights
  double error_db = 0;  ///< SQNR of what it makes in the quantized net, before it is rounded, against the float net's:
                        ///< all errors up to here
};

struct Analysis {
  std::vector<LayerAnalysis> layers;  ///< in the order in which the net runs
  std::string sixteen_bits;           ///< would accumulators of 16 bits do? (accumulators.h)
  std::vector<std::string> warnings;  ///< sentences: which layer, what is wrong, what to do
};

/// Runs `pictures` (f32 N,H,W,C) through the prepared model, in evaluation, with quantizers off and on; shape and
/// config as prepare() had them. The model is left as it was. Throws Error as make_plan() does.
Analysis analyse(nn::Module& model, const Shape& shape, const QuantConfig& config, const Tensor& pictures);

}  // namespace octet::quant
