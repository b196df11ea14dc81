// What batch norms say about the values that layers make, without any picture.
#pragma once
#include <map>
#include <vector>

#include "nn/graph.h"

namespace octet::quant {

/// Per output channel of a layer, before its activation: the mean and standard deviation of its value over pictures and
/// pixels, taken to be normal (Nagel et al., "Data-free quantization through weight equalization and bias correction",
/// 2019, section 4.2.1).
struct ChannelNormal {
  std::vector<double> mean, deviation;
};
/// By the convolution or linear layer that makes the value.
using ChannelNormals = std::map<const nn::Module*, ChannelNormal>;

/// β and |γ| of every batch norm that alone reads the layer before it. Folded batch norms say nothing any more: ask
/// first.
ChannelNormals channel_normals(const nn::Graph& graph);

/// Mean of min(max(x, lo), hi), x normal; hi may be infinite. The same paper, appendix C.
double clipped_normal_mean(double mean, double deviation, double lo, double hi);

}  // namespace octet::quant
