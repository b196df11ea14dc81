// What a quantizer keeps from step to step, in f32: what its observer has seen, its scale, its learned step.
//   observe:     the range of a batch joins the state, by the observer's rule (below); then the scale of the symmetric
//                grid up to `hi` over what has been seen. Without a range: the scale alone
//   grid_scales: scale[i] = grid_scale(rule, min(top[i], alpha), hi), i of count
//   deferred_range: range2 = {least, greatest} of act(fma(z, scale, shift)) over all z whose extremes per channel are
//                given: rounding and activation are monotone, so the extremes of z make those of the result. Both NaN
//                when there is one; zeros are +0
//   at_least:    dst[i] = max(src[i], floor[i]), or max(src[i], least) without floors; NaN stays; may run in place
//                (also f64)
//   scaled:      dst[i] = src[i]·factor, in double, rounded once; may run in place (also f64)
// A tensor that is not finite makes a state and a scale that are not either: nothing is hidden.
#pragma once
#include "core/host_device.h"
#include "kernels/activation.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {

/// How an observer follows the batches; m = max(|least|, |greatest|) of a batch, v the state's values.
///   abs_max               v0 ← max(v0, m)
///   moving_average        v0 ← rate·v0 + (1 − rate)·m in double, m at first
///   paddle_moving_average v0 ← rate·v0 + 1, v1 ← rate·v1 + m, in f32, both 1 at first; range v1 / v0
///   range_abs_max         a ring of the last batches' m: v0 the next place, v1 … the ring; range its maximum
///   min_max               v0, v1 ← moving averages of both ends
///   extremes              v0 ← min(v0, least), v1 ← max(v1, greatest), those of the batch at first
///   range_min_max         two rings as of range_abs_max, of as many numbers, behind v0: of least, then of greatest
enum class ObserverKind {
  abs_max,
  moving_average,
  paddle_moving_average,
  range_abs_max,
  min_max,
  extremes,
  range_min_max
};

struct QuantizerProblem {
  std::int64_t count = 1;  ///< observe: values of the state, without the mark that data was seen
  ObserverKind kind = ObserverKind::abs_max;
  double rate = 0.9;
  bool starts_step = true;  ///< observe: the first tensor of a step; later ones widen its range and count as one batch
  QuantRule rule = QuantRule::onnx;
  std::int32_t hi = 127;
  bool power_of_two = false;  ///< observe, grid_scales: a scale is rounded up to one; rule onnx
  double least = 0, factor = 1;
  Activation act = Activation::none;  ///< deferred_range
  std::string str() const;
};
struct QuantizerPointers {
  const float* range = nullptr;  ///< observe: least and greatest of a batch; null: none
  const float* top = nullptr;    ///< observe: or its largest |x| alone; grid_scales: count
  float* state = nullptr;        ///< observe: count values, then 1 once data was seen
  float* step = nullptr;         ///< observe, 5: v0, v1 and the mark before this step; the range of this step so far
  const float* alpha = nullptr;  ///< observe, grid_scales: 1, or null: a threshold that clips the range
  float* scale = nullptr;        ///< observe: 1, or null; grid_scales: count
  const float *low = nullptr, *high = nullptr;  ///< deferred_range: count
  const float* affine = nullptr;                ///< deferred_range: scale and shift, count each, or null
  float* range2 = nullptr;                      ///< deferred_range: 2
  const void* src = nullptr;                    ///< at_least, scaled: count
  const float* floor = nullptr;                 ///< at_least: count, or null
  void* dst = nullptr;                          ///< at_least, scaled: count
};
using QuantizerRow = Row<QuantizerProblem, QuantizerPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(QuantizerProblem, QuantizerPointers, __VA_ARGS__)
#include "kernels/quantizer/kernels.inc"
#undef KERNEL

/// Passes: observe, grid_scales, deferred_range, at_least, scaled.
std::span<const QuantizerRow> quantizer_rows();

}  // namespace octet::kernels
