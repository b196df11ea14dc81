// Fake quantization and its observers, in f32 (f64 reference: the formulas in double), over [channels, inner]: channels
// = 1 for per-tensor; K,R,S,C weights per output channel have channels = K. Both rules of core/qmath.h.
//   fake_quant_fwd: dst = dequantize(quantize(src)); may run in place
//   fake_quant_bwd: d_src = d_dst inside, 0 outside when `masked`, else d_dst (scheme paddle). With delta, and then
//                   without d_scale: inside d_dst + delta·|d_dst|·(the element's distance from its code, in steps). Inside is decided on
//                   t = x/s before rounding: lo − z ≤ t ≤ hi − z, under QuantRule::paddle −1 ≤ t ≤ 1. With d_scale: the
//                   learned step of LSQ (Esser et al. 2020): Σ d_dst · (q − z − t inside, lo − z or hi − z outside);
//                   under QuantRule::paddle Σ d_dst · (q/hi − t inside, −1 or 1 outside); then mask must be on. Where
//                   t is NaN its code is z whatever the scale: it is outside and adds nothing to d_scale.
//   clipped_sum:    out[channel] = Σ d_dst of the elements outside, those that are NaN aside: the learned offset of LSQ+
//                   (Bhalgat et al. 2020)
//   abs_max:        out[channel] = max |src|, NaN if any element is NaN
//   min_max:        out[2·channel] = min, out[2·channel + 1] = max, both NaN if any element is NaN; zeros are +0
//   quantile:       out[channel] = the rank-th smallest |src| (rank from 1 to inner), NaN if any is not finite
//   mse_top:        out[channel] = the threshold t of least squared error: of top·k/128, top = max |src|, k = 1 … 128,
//                   that whose symmetric grid up to hi has the least Σ e², e = |x| − min(rint(|x|/s), hi)·s in f32,
//                   s = grid_scale(onnx, t, hi); the largest of equals; NaN if any is not finite
//   sawb_top:       out[channel] = rms_factor·√(Σ src² / inner) − mean_factor·Σ |src| / inner, not below that mean nor
//                   beyond max |src|; in double, rounded once; NaN if any is not finite
//   weight_quant_fwd: abs_max, its grid and fake_quant_fwd of each channel in one sweep (f32 only, zero point 0):
//                   out[channel] = grid_scale(abs_max), dst as fake_quant_fwd on it, codes as quantize_fwd f32s8 when
//                   wanted; where a channel is not finite, neither is out, and dst and codes mean nothing
// Same bits: d_scale and clipped_sum sum in double by FMA from zero over reduction_chunk(inner) elements; within a chunk element i
// goes to partial sum i mod 16, the partial sums l and l + 8 are added, then l and l + 4, l + 2, l + 1; chunk sums are
// added in order. mse_top and sawb_top sum a channel as one such chunk. NaN payloads are not part of the contract (here and in
// every room).
#pragma once
#include <bit>

#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct FakeQuantProblem {
  std::int64_t channels = 1, inner = 1;
  std::int32_t zero_point = 0, lo = -127, hi = 127;
  QuantRule rule = QuantRule::onnx;
  bool masked = true;
  double delta = 0;                        ///< fake_quant_bwd: of the gradients' scaling
  std::int64_t rank = 1;                   ///< quantile
  double rms_factor = 0, mean_factor = 0;  ///< sawb_top
  std::string str() const;
};
struct FakeQuantPointers {
  const void* src = nullptr;     ///< channels,inner
  const float* scale = nullptr;  ///< channels (steps, or thresholds under QuantRule::paddle)
  void* dst = nullptr;           ///< channels,inner
  const void* d_dst = nullptr;   ///< channels,inner
  void* d_src = nullptr;         ///< channels,inner; may be d_dst
  void* d_scale = nullptr;       ///< channels, same dtype as src, or null
  void* out = nullptr;           ///< clipped_sum (dtype of src), abs_max, quantile, *_top, weight_quant_fwd: channels;
                                 ///< min_max: 2·channels
  void* codes = nullptr;         ///< channels,inner s8, or null (weight_quant_fwd)
};
using FakeQuantRow = Row<FakeQuantProblem, FakeQuantPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(FakeQuantProblem, FakeQuantPointers, __VA_ARGS__)
#include "kernels/fake_quant/kernels.inc"
#undef KERNEL

namespace {  // internal linkage: files compiled with ISA flags keep copies of their own

/// The scale of a symmetric grid up to code `hi` over values of abs-max `top`: a step, under QuantRule::paddle a
/// threshold; at least 2^-64 a step, since dead channels happen. NaN stays NaN.
inline OCTET_HD float grid_scale(QuantRule rule, float top, std::int32_t hi) {
  const float floor = rule == QuantRule::paddle ? 0x1p-64f * static_cast<float>(hi) : 0x1p-64f;
  const float scale = rule == QuantRule::paddle ? top : top / static_cast<float>(hi);
  return scale < floor ? floor : scale;
}

/// The least power of two that a positive scale does not exceed; what is not finite stays.
inline OCTET_HD float power_of_two_above(float scale) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  constexpr std::uint32_t kFraction = 0x007fffffu, kInfinity = 0x7f800000u;
  if ((bits & kFraction) == 0 || bits >= kInfinity) return scale;
  return std::bit_cast<float>((bits & ~kFraction) + (kFraction + 1));
}

/// Thresholds that mse_top tries, and the k-th of them, from 0: downwards from `top`.
constexpr int kMseSteps = 128;
inline OCTET_HD float mse_candidate(float top, int k) {
  return top * (static_cast<float>(kMseSteps - k) / static_cast<float>(kMseSteps));
}

}  // namespace

/// Passes: fake_quant_fwd, fake_quant_bwd, clipped_sum, abs_max, min_max, quantile, mse_top, sawb_top,
/// weight_quant_fwd.
std::span<const FakeQuantRow> fake_quant_rows();

}  // namespace octet::kernels
