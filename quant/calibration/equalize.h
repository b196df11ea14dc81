// Cross-layer equalization: weights of neighbouring layers scaled against each other, so that one step fits all
// channels of a tensor (Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019).
#pragma once
#include <string>
#include <vector>

#include "core/shape.h"
#include "nn/module.h"
#include "quant/calibration/channel_normals.h"

namespace octet::quant {

/// A value x that one layer makes and one other reads.
struct EqualizedValue {
  std::string maker, reader;     ///< paths
  std::vector<double> scale;     ///< s, per channel: the value is x / s now
  std::vector<double> absorbed;  ///< c, per channel, taken off x / s; empty without absorption
};

/// Finds every value that flows from one convolution or linear layer into another through what is positively
/// homogeneous and works channel by channel (no activation or ReLU, pools, flatten), with no other reader. The rows of
/// the maker are divided by s, bias too, the columns of the reader multiplied by it: the net computes what it did, up
/// to rounding. Section 4.1: s = √(r₁ / r₂), r₁ the largest |weight| of the row, r₂ of the column, makes both √(r₁ r₂);
/// repeated over all values until no s moves by more than 1e-5 (at most 10000 times). Channels with a range of zero
/// stay as they are.
///
/// `absorb`: high biases move on as well (section 4.1.3). Where x before a ReLU is normal with mean β and deviation γ,
/// c = max(0, β − 3γ) is taken off the maker's bias, and Σ w·c added to the reader's. That changes the net where x < c,
/// one value in a thousand. A reader with padding, whose border would miss c, or without bias takes nothing. `normals`,
/// of the net as it was, follow scales and c; null: there are none.
///
/// Batch norms must be folded. Throws Error, with a hint, when the net has no such value or its weights are not finite.
/// Weights may lie on a device.
std::vector<EqualizedValue> equalize(nn::Module& model, const Shape& shape, ChannelNormals* normals = nullptr,
                                     bool absorb = false);

}  // namespace octet::quant
