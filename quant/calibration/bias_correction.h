// Bias correction: rounding weights shifts the mean of what a layer makes; its bias can take that back (Nagel et al.,
// "Data-free quantization through weight equalization and bias correction", 2019, section 4.2).
#pragma once
#include <string>
#include <vector>

#include "core/shape.h"
#include "nn/module.h"
#include "quant/calibration/calibration_pictures.h"
#include "quant/calibration/channel_normals.h"

namespace octet::quant {

struct BiasShift {
  std::string layer;          ///< path
  std::vector<double> shift;  ///< per channel, taken off the bias, or off β of the batch norm behind; empty: left alone
};

/// Empirical (appendix D): in the order of the net, the mean over pictures and pixels of what a layer makes in the net
/// with rounded weights, those before it corrected, less that in the float net, before the activation. Values are not
/// rounded meanwhile: what their grids clip is rare and large, and to make up for its mean would shift all the others.
/// Runs the pictures once as floats and once per layer; `progress` is told of these runs. The model must be prepared
/// and have seen data, on the host. Layers without bias and batch norm, or that run several times, are left alone.
std::vector<BiasShift> correct_biases(nn::Module& model, const Shape& shape, const data::Dataset& dataset,
                                      const CalibrateOptions& options = {},
                                      const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

/// Analytic (section 4.2.1), without pictures: E[ε·x] = Σ ε·E[x], ε what rounding adds to the weights, E[x] the mean of
/// a clipped normal; taps in the padding count by how often they see the picture. Values that are known: behind a layer
/// of `normals` and its activation, averaged, added up, joined or flattened. Layers that read others are left alone.
/// Throws Error, with a hint, when all do.
std::vector<BiasShift> correct_biases(nn::Module& model, const Shape& shape, const ChannelNormals& normals);

}  // namespace octet::quant
