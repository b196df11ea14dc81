// Fully connected layer, in f32 and f64: dst[m,n] = bias[n] ⊕ Σ_k src[m,k] · weight[n,k].
// Same bits: as a 1x1 convolution of conv2d.h over m pixels (chunks of bwd_weight included).
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct LinearProblem {
  std::int64_t m = 1, n = 1, k = 1;  ///< pictures, outputs, inputs
  std::string str() const;
};
struct LinearPointers {
  const void* src = nullptr;     ///< m,k
  const void* weight = nullptr;  ///< n,k
  const void* bias = nullptr;    ///< n or null
  void* dst = nullptr;           ///< m,n
  const void* d_dst = nullptr;   ///< m,n
  void* d_src = nullptr;         ///< m,k, overwritten
  void* d_weight = nullptr;      ///< n,k, overwritten
  void* d_bias = nullptr;        ///< n, overwritten, or null
};
using LinearRow = Row<LinearProblem, LinearPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(LinearProblem, LinearPointers, __VA_ARGS__)
#include "kernels/linear/kernels.inc"
#undef KERNEL

/// Passes: linear_fwd, linear_bwd_data, linear_bwd_weight.
std::span<const LinearRow> linear_rows();

}  // namespace octet::kernels
