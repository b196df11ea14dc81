// The one place where a layer's weights, bias and batch norm become integer codes and steps (docs/quantization.md, "Fold").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/quant_params.h"
#include "core/tensor.h"
#include "quant/config.h"

namespace octet::quant {

/// What fold() starts from. Shapes: weight {k, …}, bias {k}, affine {2, k}; bias and affine may be undefined.
struct FoldInput {
  Tensor weight;
  QuantParams weight_grid;  ///< one scale, or k along axis 0
  Tensor bias;
  Tensor affine;  ///< batch norm in evaluation: row 0 γ/√(var + ε), row 1 shift
  QuantParams input_grid;
  std::optional<QuantParams> output_grid;  ///< none: the layer's value is f32
  bool float_bias = false;                 ///< scheme paddle
};

/// A channel that could not be folded as it was.
struct ChannelNote {
  std::int64_t channel = 0;
  std::string what;
};

struct FoldedLayer {
  Tensor codes;                    ///< s8, shape of the weight; codes of channels with γ < 0 have changed sign
  std::vector<float> step;         ///< s'_w = fl(s_w·|γ/σ|), k entries, at least kMinScale
  std::vector<std::int32_t> bias;  ///< q_b, k entries; empty with float_bias
  std::vector<float> float_bias;   ///< b in real units, k entries; empty otherwise
  std::vector<ChannelNote> notes;
};

/// codes = quantize(weight); s'_w = fl(s_w·|scale|); q_b = rint(bias / (s_x·s_w))·sign(scale) + rint(shift / (s_x·s'_w)) in double.
/// Where s'_w is too small to be a step, or |q_b| > 2^30, the step is coarsened, codes are rounded again and a note is made.
/// Throws Error when anything is not finite or a channel's accumulator could pass 2^31.
FoldedLayer fold(const FoldInput& layer, const std::string& name);

}  // namespace octet::quant
