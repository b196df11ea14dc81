// Fake quantization and its observers, in f32 (f64 reference: the formulas in double), over [channels, inner]: channels
// = 1 for per-tensor; K,R,S,C weights per output channel have channels = K. Both rules of core/qmath.h.
//   fake_quant_fwd: dst = dequantize(quantize(src)); may run in place
//   fake_quant_bwd: d_src = d_dst · mask; mask = lo ≤ pre-clamp code ≤ hi when `masked` (decided on src / s before
//                   rounding: lo − z ≤ x/s ≤ hi − z), else 1 (scheme paddle). With d_scale: the learned step of LSQ
//                   (Esser et al. 2020): Σ d_dst · (q − z − x/s inside, lo − z or hi − z outside); then mask must be on.
//   abs_max:        out[channel] = max |src|, NaN if any element is NaN
//   min_max:        out[2·channel] = min, out[2·channel + 1] = max
// Same bits: d_scale sums in double over reduction_chunk(inner) elements in order, chunk sums added in order.
#pragma once
#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct FakeQuantProblem {
  std::int64_t channels = 1, inner = 1;
  std::int32_t zero_point = 0, lo = -127, hi = 127;
  QuantRule rule = QuantRule::onnx;
  bool masked = true;
  std::string str() const;
};
struct FakeQuantPointers {
  const void* src = nullptr;      ///< channels,inner
  const float* scale = nullptr;   ///< channels (steps, or thresholds under QuantRule::paddle)
  void* dst = nullptr;            ///< channels,inner
  const void* d_dst = nullptr;    ///< channels,inner
  void* d_src = nullptr;          ///< channels,inner; may be d_dst
  void* d_scale = nullptr;        ///< channels, same dtype as src, or null
  void* out = nullptr;            ///< abs_max: channels; min_max: 2·channels
};
using FakeQuantRow = Row<FakeQuantProblem, FakeQuantPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(FakeQuantProblem, FakeQuantPointers, __VA_ARGS__)
#include "kernels/fake_quant/kernels.inc"
#undef KERNEL

/// Passes: fake_quant_fwd, fake_quant_bwd, abs_max, min_max.
std::span<const FakeQuantRow> fake_quant_rows();

}  // namespace octet::kernels
