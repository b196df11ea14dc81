// DoReFa (Zhou et al. 2016, "DoReFa-Net: training low bitwidth convolutional neural networks with low bitwidth gradients"), without its
// gradients of few bits.
#pragma once
#include "nn/transform.h"

namespace octet::quant {

/// A layer's weight_parametrization: w → t·tanh(w), t = max |w| / tanh(max |w|), which spreads small weights over more codes
/// (ops::dorefa). The paper's weights end at 1; these end at max |w|, so that batch norms folded or frozen, and the classifier, see
/// the size that they know. The paper has 2^bits levels without a 0 among them, these grids 2^bits − 1 with it.
class DorefaWeight : public nn::Transform {
 public:
  std::string kind() const override { return "DorefaWeight"; }
  Variable apply(const Variable& src) override;
};

/// Where the grid of activations ends: [0, 1] where they are never negative, else [−1, 1], whatever they are (a step that is rounded up to
/// a power of two takes its end with it). Gradients pass inside it, whatever `ste` says.
inline constexpr float kDorefaTop = 1;

}  // namespace octet::quant
