// The pieces of split batch normalisation over [pixels, c], in f32 and f64 (Ioffe & Szegedy 2015; split as in Jung et
// al., "Restructuring batch normalization", MLSys 2019): statistics, and the affine map with its activation.
//   batchnorm_stats:      mean[c] = Σ z / pixels;  variance[c] = Σ z² / pixels − mean², clamped at 0 (biased)
//   affine_act_fwd:       dst = act(fma(src, scale[c], shift[c]))
//   affine_act_bwd:       g = d_dst · act'(fma(src, scale, shift));  d_src = g · scale;
//                         d_scale = Σ g · src;  d_shift = Σ g
// act' of relu is 1 for t > 0; of relu6 1 for 0 < t < 6; else 0. Where it is 0, g is 0 whatever d_dst (NaN included);
// act of NaN is NaN.
// Same bits: sums run in double (FMA from zero), pixels in order within reduction_chunk(), chunk sums added in order;
// f32 results are rounded once at the end; the variance is fma(−mean, mean, Σ z² / pixels) in double.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct BatchNormProblem {
  std::int64_t pixels = 1, c = 1;
  Activation act = Activation::none;
  std::string str() const;
};
struct BatchNormPointers {
  const void* src = nullptr;    ///< pixels,c
  const void* scale = nullptr;  ///< c
  const void* shift = nullptr;  ///< c
  void* dst = nullptr;          ///< pixels,c; may be src (affine_act_fwd)
  void* mean = nullptr;         ///< c (batchnorm_stats)
  void* variance = nullptr;     ///< c (batchnorm_stats)
  const void* d_dst = nullptr;  ///< pixels,c
  void* d_src = nullptr;        ///< pixels,c; may be d_dst
  void* d_scale = nullptr;      ///< c
  void* d_shift = nullptr;      ///< c
};
using BatchNormRow = Row<BatchNormProblem, BatchNormPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(BatchNormProblem, BatchNormPointers, __VA_ARGS__)
#include "kernels/batchnorm/kernels.inc"
#undef KERNEL

std::span<const BatchNormRow> batchnorm_rows();

}  // namespace octet::kernels
