// A batch norm's scale folded into the weights (or biases) in front of it, in f32 and f64, over [channels, inner]
// (Jacob et al. 2018, equation 14; Krishnamoorthi 2018, section 3.2.2):
//   batchnorm_fold_fwd: dst = src·f,  f = γ/√(running_var + ε) rounded (fold_factor of batchnorm_affine)
//   batchnorm_fold_bwd: d_src = d_dst·f;  d_gamma = Σ d_dst·src / √(running_var + ε) over the channel, summed in double
//   in order
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct BatchNormFoldProblem {
  std::int64_t channels = 1, inner = 1;
  double epsilon = 1e-5;
  std::string str() const;
};
struct BatchNormFoldPointers {
  const void* src = nullptr;                            ///< channels,inner
  const void *gamma = nullptr, *running_var = nullptr;  ///< channels
  void* dst = nullptr;                                  ///< fwd: channels,inner
  const void* d_dst = nullptr;                          ///< bwd: channels,inner
  void* d_src = nullptr;                                ///< bwd: channels,inner
  void* d_gamma = nullptr;                              ///< bwd: channels
};
using BatchNormFoldRow = Row<BatchNormFoldProblem, BatchNormFoldPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(BatchNormFoldProblem, BatchNormFoldPointers, __VA_ARGS__)
#include "kernels/batchnorm_fold/kernels.inc"
#undef KERNEL

/// Passes: batchnorm_fold_fwd, batchnorm_fold_bwd.
std::span<const BatchNormFoldRow> batchnorm_fold_rows();

}  // namespace octet::kernels
