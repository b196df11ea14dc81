// Depthwise convolution of f32 inference (channel multiplier 1): bias and activation in the store, weights that lie as
// vectors read them.
//   dst[n,p,q,c] = act(Σ_{r,s} src[n, p·sh − ph + r, q·sw − pw + s, c] · weight[r,s,c] + bias[c])
// Same bits: as dwconv2d_fwd (taps in (r,s) order by FMA from zero, taps outside the picture skipped, then the bias)
// followed by act_fwd (activation.h).
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

/// geometry.k == geometry.c.
struct DwConv2dActProblem {
  ConvGeometry geometry;
  Activation act = Activation::none;
  /// "n8 16x16x32 k32 3x3 s1x1 p1x1 relu"
  std::string str() const;
};

struct DwConv2dActPointers {
  const float* src = nullptr;     ///< N,H,W,C
  const float* weight = nullptr;  ///< R,S,C: dwconv2d_act_weight() makes it
  const float* bias = nullptr;    ///< C or null
  float* dst = nullptr;           ///< N,P,Q,C
};

using DwConv2dActRow = Row<DwConv2dActProblem, DwConv2dActPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(DwConv2dActProblem, DwConv2dActPointers, __VA_ARGS__)
#include "kernels/dwconv2d_act/kernels.inc"
#undef KERNEL

/// Pass: dwconv2d_act_fwd (f32).
std::span<const DwConv2dActRow> dwconv2d_act_rows();

/// Once per layer: `taps` R,S,C from the C,R,S,1 weight of every other room.
void dwconv2d_act_weight(const ConvGeometry& geometry, const float* weight, float* taps);

}  // namespace octet::kernels
