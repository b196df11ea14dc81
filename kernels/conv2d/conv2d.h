// Convolution, forward and backward, in f32 and f64.
//   fwd:        dst[n,p,q,k] = bias[k] ⊕ Σ_{r,s,c} src[n, p·sh − ph + r, q·sw − pw + s, c] · weight[k,r,s,c]
//   bwd_data:   d_src   = Σ over (p,q,k) of d_dst · weight
//   bwd_weight: d_weight = Σ over pixels of d_dst · src;  d_bias = Σ over pixels of d_dst
// Same bits: fwd sums over (r,s,c) in this order by FMA from zero, padding counting as zeros, then adds the bias;
// bwd_data, strides 1 and no padding and 1x1: over k in order by FMA from zero; otherwise the column gradient
// (GEMM over k) is scattered by plain additions in the order of (r,s) for every source pixel (gather form: for each
// src pixel, r outer, s inner). bwd_weight: reduction_chunk() of problem.h over output pixels, FMA from zero inside a
// chunk with padding counting as zeros, the first chunk's sum taken and the others added in order; d_bias likewise by plain
// additions.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

using Conv2dProblem = ConvGeometry;

/// Elements are f32 or f64 as the row says. Null: bias and d_bias when absent.
struct Conv2dPointers {
  const void* src = nullptr;     ///< N,H,W,C           (fwd, bwd_weight)
  const void* weight = nullptr;  ///< K,R,S,C           (fwd, bwd_data)
  const void* bias = nullptr;    ///< K                 (fwd)
  void* dst = nullptr;           ///< N,P,Q,K           (fwd)
  const void* d_dst = nullptr;   ///< N,P,Q,K           (bwd_*)
  void* d_src = nullptr;         ///< N,H,W,C, overwritten (bwd_data)
  void* d_weight = nullptr;      ///< K,R,S,C, overwritten (bwd_weight)
  void* d_bias = nullptr;        ///< K, overwritten       (bwd_weight)
};

using Conv2dRow = Row<Conv2dProblem, Conv2dPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(Conv2dProblem, Conv2dPointers, __VA_ARGS__)
#include "kernels/conv2d/kernels.inc"
#undef KERNEL

/// All rows of this room, in order of preference. Passes: conv2d_fwd, conv2d_bwd_data, conv2d_bwd_weight.
std::span<const Conv2dRow> conv2d_rows();

}  // namespace octet::kernels
