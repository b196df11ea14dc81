#include "quant/observers/weight_range.h"

#include <algorithm>
#include <cmath>

#include "kernels/fake_quant/fake_quant.h"
#include "quant/observers/histogram_observer.h"
#include "quant/observers/observer.h"
#include "quant/observers/sawb.h"

namespace octet::quant {
namespace {

/// The rank from 1 of the smallest of `count` values that a share of them does not exceed. A share that decimals put just
/// above a whole number of values means that number.
std::int64_t rank_of(double percentile, std::int64_t count) {
  const double wanted = static_cast<double>(count) * percentile / 100;
  return std::clamp(static_cast<std::int64_t>(std::ceil(wanted * (1 - 1e-12))), std::int64_t{1}, count);
}

}  // namespace

WeightRange weight_range(const QuantConfig& config) {
  WeightRange range;
  range.per_channel = is_per_channel(config.weight_quantize_type);
  switch (config.weight_quantize_type) {
    case WeightQuantize::percentile:
    case WeightQuantize::channel_wise_percentile:
      range.clipping = Clipping::percentile;
      range.percentile = config.weight_percentile;
      break;
    case WeightQuantize::mse:
    case WeightQuantize::channel_wise_mse:
      range.clipping = Clipping::mse;
      break;
    case WeightQuantize::sawb:
    case WeightQuantize::channel_wise_sawb:
      range.clipping = Clipping::sawb;
      break;
    case WeightQuantize::kl:
      range.clipping = Clipping::kl;
      break;
    default:
      break;
  }
  return range;
}

Tensor thresholds(const WeightRange& range, const Tensor& weight, const QuantParams& bounds) {
  const std::int64_t channels = range.per_channel ? weight.shape()[0] : 1;
  if (range.clipping == Clipping::none) return abs_max(weight, channels);
  const Tensor values = weight.to(DType::f32);
  if (range.clipping == Clipping::kl)
    return histogram_threshold(values, {.rule = kernels::HistogramRule::kl, .hi = bounds.hi});
  kernels::FakeQuantProblem problem;
  problem.channels = channels, problem.inner = values.numel() / channels;
  problem.hi = bounds.hi;
  problem.rank = rank_of(range.percentile, problem.inner);
  if (range.clipping == Clipping::sawb) {
    const SawbFactors factors = sawb_factors(bounds.hi);
    problem.rms_factor = factors.rms, problem.mean_factor = factors.mean;
  }
  Tensor out(Shape{channels}, DType::f32, values.device());
  kernels::FakeQuantPointers pointers;
  pointers.src = values.raw(), pointers.out = out.raw();
  const char* pass = range.clipping == Clipping::percentile ? "quantile"
                     : range.clipping == Clipping::sawb     ? "sawb_top"
                                                            : "mse_top";
  kernels::dispatch(kernels::fake_quant_rows(), pass, "f32", problem, pointers, kernels::context_of(values.device()));
  return out;
}

}  // namespace octet::quant
