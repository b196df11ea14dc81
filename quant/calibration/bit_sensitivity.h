// What a layer's weights cost the net when they have few bits.
#pragma once
#include <functional>
#include <vector>

#include "nn/module.h"
#include "quant/calibration/bit_assignment.h"
#include "quant/calibration/calibration_pictures.h"
#include "quant/config.h"

namespace octet::quant {

/// Every layer whose weight is quantized, in the order of the net, with every number of bits, the size in bits that its
/// weights then take, and no cost. Layers whose bits `config` states by name, or as the first and the last, keep these
/// as their only choice. `model` is prepared by `config`. Throws Error, with a hint, when it is not, when weights'
/// steps or thresholds are learned, and when candidates are none or not 2 to 8.
std::vector<LayerChoices> weight_choices(nn::Module& model, const Shape& shape, const QuantConfig& config,
                                         const std::vector<int>& candidates);

/// Fills in costs: the mean over pictures of the Kullback-Leibler divergence Σ p·log(p / q) of the classes'
/// probabilities, p of the float net and q of the net in which this weight alone is rounded. It needs no labels, and to
/// second order the costs of small errors in several layers add up (Dong et al., "HAWQ: Hessian aware quantization of
/// neural networks", 2019, argue from the same expansion). The model is left as it was. `progress` counts runs over the
/// pictures. Throws Error when an activation's quantizer has seen no data.
void measure_costs(std::vector<LayerChoices>& layers, nn::Module& model, const QuantConfig& config,
                   const data::Dataset& dataset, const CalibrateOptions& options = {},
                   const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

/// `config` with the chosen bits of weights as entries of layer_bits.
QuantConfig with_bits(QuantConfig config, const std::vector<LayerChoices>& layers, const BitAssignment& assignment);

}  // namespace octet::quant
