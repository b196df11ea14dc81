// The packed constants of the integer GEMM rows, in one block of memory:
//   bias s32 [columns_padded] | multiplier f32 | bias_f32 f32 |
//   weight [panel][segment][group of it][panel columns][group]
// A column is an output channel, the depth runs over r,s,c, in segments that are padded to whole groups each: a filter
// row is one, since its s·c codes lie together in a picture. Padding is zeros, so that padded depth adds nothing.
#pragma once
#include <cstddef>

#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {

struct PackedLayout {
  std::int64_t depth = 0, depth_padded = 0;       ///< products per output; of segments of whole groups
  std::int64_t segments = 1, segment_groups = 0;  ///< of the depth; groups of each
  std::int64_t columns = 0, columns_padded = 0;   ///< output channels; a multiple of `panel`
  std::int64_t panel = 1, group = 1;
  std::size_t multiplier = 0, bias_f32 = 0, weight = 0, bytes = 0;  ///< byte offsets (bias lies at 0), and the whole
};

/// Where the parts of a packed block lie.
struct PackedView {
  const std::int32_t* bias;
  const float* multiplier;
  const float* bias_f32;
  const void* weight;
};

/// element: bytes of a packed weight (1: s8, 2: s16). panel 1, group 1 keeps the weight as it is.
PackedLayout packed_layout(std::int64_t columns, std::int64_t depth, std::int64_t panel, std::int64_t group,
                           std::size_t element, std::int64_t segments = 1);
PackedView packed_view(const PackedLayout& layout, const void* packed);
/// Packs; `zero` is what the row's codes are too large by: it is folded into the bias as -zero·Σ weight, modulo 2^32.
void pack_columns(const PackedLayout& layout, std::size_t element, const IntConvWeights& weights, std::int32_t zero,
                  void* packed);

/// -zero·Σ weight[0..depth) + bias, modulo 2^32.
std::int32_t folded_bias(const std::int8_t* weight, std::int64_t depth, std::int32_t zero, std::int32_t bias);
/// r·s·c.
std::int64_t conv_depth(const ConvGeometry& geometry);

}  // namespace octet::kernels
