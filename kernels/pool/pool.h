// Pooling over N,H,W,C, in f32 and f64. Padding is never counted in an average (count_include_pad = false) and never
// wins a maximum. Global average pooling is avg with the window of the whole map.
//   max_pool_fwd: dst and argmax (index of the winning pixel within the picture, h·W + w; the first of equals, but the
//                 first NaN if there is one)
//   avg_pool_fwd: (Σ in (r,s) order by plain addition from zero) / count
//   max_pool_bwd: d_src, overwritten: Σ d_dst of the windows that the pixel won, in (p,q) order, from zero
//   avg_pool_bwd: d_src, overwritten: Σ d_dst / count over the pixel's windows in (p,q) order, from zero
// A window that lies outside the picture altogether gives 0 and argmax −1.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

/// geometry.k == geometry.c; r, s are the window.
using PoolProblem = ConvGeometry;
struct PoolPointers {
  const void* src = nullptr;
  void* dst = nullptr;
  std::int32_t* argmax = nullptr;  ///< N,P,Q,C (max_pool_fwd writes, max_pool_bwd reads)
  const void* d_dst = nullptr;
  void* d_src = nullptr;
};
using PoolRow = Row<PoolProblem, PoolPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(PoolProblem, PoolPointers, __VA_ARGS__)
#include "kernels/pool/kernels.inc"
#undef KERNEL

/// Passes: max_pool_fwd, max_pool_bwd, avg_pool_fwd, avg_pool_bwd.
std::span<const PoolRow> pool_rows();

}  // namespace octet::kernels
