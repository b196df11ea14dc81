// How far values lie from their codes on a symmetric grid, in f32 and f64, over [channels, inner], channels = 1 for one
// scale (Nagel et al. 2022, equation 5, for weights). With d = x − dequantize(quantize(x)) inside the grid, before
// rounding as in fake_quant.h, and 0 outside, where x is clipped to its code, and for NaN:
//   grid_distance_fwd: sum = Σ d², in double: within runs of 2^14 elements, then run by run
//   grid_distance_bwd: d_src = 2·d·d_sum: codes count as constants
#pragma once
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct GridDistanceProblem {
  std::int64_t channels = 1, inner = 1;
  std::int32_t lo = -127, hi = 127;
  QuantRule rule = QuantRule::onnx;
  std::string str() const;
};
struct GridDistancePointers {
  const void* src = nullptr;     ///< channels,inner
  const float* scale = nullptr;  ///< channels: steps, under QuantRule::paddle thresholds
  void* sum = nullptr;           ///< fwd: 1
  const void* d_sum = nullptr;   ///< bwd: 1
  void* d_src = nullptr;         ///< bwd: channels,inner
};
using GridDistanceRow = Row<GridDistanceProblem, GridDistancePointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(GridDistanceProblem, GridDistancePointers, __VA_ARGS__)
#include "kernels/grid_distance/kernels.inc"
#undef KERNEL

/// Passes: grid_distance_fwd, grid_distance_bwd.
std::span<const GridDistanceRow> grid_distance_rows();

}  // namespace octet::kernels
