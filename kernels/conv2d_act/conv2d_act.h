// Convolution of f32 inference: bias and activation in the store, the weight packed once into panels of filters.
//   dst[n,p,q,k] = act(Σ_{r,s,c} src[n, p·sh − ph + r, q·sw − pw + s, c] · weight[k,r,s,c] + bias[k])
// Same bits: as conv2d_fwd (products in (r,s,c) order by FMA from zero, padding counting as zeros, then the bias)
// followed by act_fwd (activation.h).
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct Conv2dActProblem {
  ConvGeometry geometry;
  Activation act = Activation::none;
  /// "n8 16x16x32 k64 1x1 s1x1 p0x0 relu"
  std::string str() const;
};

struct Conv2dActPointers {
  const float* src = nullptr;     ///< N,H,W,C
  const float* weight = nullptr;  ///< packed: conv2d_act_weight() makes it
  const float* bias = nullptr;    ///< K or null
  float* dst = nullptr;           ///< N,P,Q,K
};

using Conv2dActRow = Row<Conv2dActProblem, Conv2dActPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(Conv2dActProblem, Conv2dActPointers, __VA_ARGS__)
#include "kernels/conv2d_act/kernels.inc"
#undef KERNEL

/// Pass: conv2d_act_fwd (f32).
std::span<const Conv2dActRow> conv2d_act_rows();

/// Filters of a panel. Within one, the weights of a step of the depth lie together: a step is two cache lines, and
/// panels do not meet in the same sets of a cache as the columns of a wide matrix do.
inline constexpr std::int64_t kConv2dActPanel = 32;
/// Floats of a packed weight.
std::int64_t conv2d_act_weight_size(const ConvGeometry& geometry);
/// Once per layer: `packed` [panels][R·S·C][kConv2dActPanel], zeros beyond the last filter, from the K,R,S,C weight of
/// every other room.
void conv2d_act_weight(const ConvGeometry& geometry, const float* weight, float* packed);

}  // namespace octet::kernels
