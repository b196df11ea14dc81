#include "quant/quantizers/learned_step.h"

#include <algorithm>
#include <cmath>

#include "core/diverged.h"
#include "ops/ops.h"
#include "quant/observers/histogram_observer.h"
#include "quant/quantizers/floors.h"

namespace octet::quant {
namespace {

/// Mean of |x| over one channel of `inner` elements.
double mean_abs(const Tensor& src, std::int64_t channel, std::int64_t inner) {
  double sum = 0;
  const auto add = [&](const auto* x) {
    for (std::int64_t i = 0; i < inner; ++i) sum += std::fabs(static_cast<double>(x[channel * inner + i]));
  };
  if (src.dtype() == DType::f64)
    add(src.data<double>());
  else
    add(src.data<float>());
  return sum / static_cast<double>(inner);
}

constexpr float kFloorOfStart = 1.0f / 64;

}  // namespace

std::shared_ptr<LearnedStepQuantizer> LearnedStepQuantizer::for_activation(const Grid& grid) {
  return std::make_shared<LearnedStepQuantizer>(grid, 1, false);
}
std::shared_ptr<LearnedStepQuantizer> LearnedStepQuantizer::for_weight(const Grid& grid, std::int64_t channels) {
  return std::make_shared<LearnedStepQuantizer>(grid, channels, true);
}

LearnedStepQuantizer::LearnedStepQuantizer(const Grid& grid, std::int64_t channels, bool is_weight)
    : grid_(grid),
      is_weight_(is_weight),
      step_(register_parameter("step", Tensor::full({channels}, 1))),
      started_(register_buffer("started", Tensor::zeros({1}, DType::s32), Device::cpu)),
      floor_(register_buffer("floor", Tensor::full({channels}, kMinScale))) {
  OCTET_CHECK(grid.rule == QuantRule::onnx && (!grid.affine || !is_weight), "lsq",
              "a learned step needs the onnx rule, and for weights no zero point");
  if (grid.affine) offset_ = register_parameter("offset", Tensor::zeros({1}));
}

bool LearnedStepQuantizer::started() const { return started_.data<std::int32_t>()[0] != 0; }

std::vector<float> LearnedStepQuantizer::initial_steps(const Tensor& src) const {
  const std::int64_t channels = step_.value().numel();
  const double root = std::sqrt(static_cast<double>(grid_.bounds().hi));
  std::vector<float> steps;
  const Tensor here = src.to(Device::cpu);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto step = static_cast<float>(2 * mean_abs(here, c, src.numel() / channels) / root);
    if (!std::isfinite(step)) diverged("lsq", fmt::format("a first step of {}", step));
    steps.push_back(std::max(step, kMinScale));
  }
  return steps;
}

QuantParams LearnedStepQuantizer::first_affine_grid(const Tensor& src) const {
  const nn::DeviceScope there(src.device());
  HistogramObserver observer({kernels::HistogramRule::mse, 2, grid_.bounds().hi, 1}, 0);
  observer.observe_values(src, true);
  return grid_.over(observer.range());
}

void LearnedStepQuantizer::start(const Tensor& src) {
  if (started()) return;
  std::vector<float> steps;
  if (grid_.affine) {
    const QuantParams first = first_affine_grid(src);
    steps = first.scale;
    offset_.value().fill(-static_cast<double>(first.zero_point) * static_cast<double>(steps[0]));
  } else {
    steps = initial_steps(src);
  }
  step_.value().copy_from(Tensor::from(step_.shape(), steps));
  std::vector<float> floors;
  for (const float step : steps) floors.push_back(std::max(step * kFloorOfStart, kMinScale));
  floor_.copy_from(Tensor::from(floor_.shape(), floors));
  started_.data<std::int32_t>()[0] = 1;
}

std::optional<QuantParams> LearnedStepQuantizer::params() const {
  if (!started()) return std::nullopt;
  QuantParams params = grid_.bounds();
  params.axis = step_.value().numel() > 1 ? 0 : -1;
  params.scale = values_of(step_.value());
  const std::vector<float> floors = values_of(floor_);
  for (std::size_t c = 0; c < floors.size(); ++c) params.scale[c] = std::max(params.scale[c], floors[c]);
  if (grid_.affine) params.zero_point = zero_point(params.scale[0]);
  return params;
}

std::optional<QuantParams> LearnedStepQuantizer::params_for(const Tensor& src) const {
  if (started() || !is_weight_) return params();
  QuantParams params = grid_.bounds();
  params.scale = initial_steps(src);
  params.axis = params.scale.size() > 1 ? 0 : -1;
  return params;
}

std::optional<FakeQuantizer::WeightGrid> LearnedStepQuantizer::weight_grid(const Tensor&) const {
  if (!started() || !is_weight_) return std::nullopt;
  Tensor steps = step_.value().clone();
  keep_at_least(steps, floor_);
  return WeightGrid{grid_.bounds(), steps};
}

void LearnedStepQuantizer::watch(const Variable& src, bool) { start(src.value()); }

std::int32_t LearnedStepQuantizer::zero_point(float step) const {
  const QuantParams bounds = grid_.bounds();
  const float offset = values_of(offset_.value())[0], place = -offset / step;
  if (std::isnan(place)) diverged("lsq_plus", fmt::format("the offset is {} at a step of {}", offset, step));
  return static_cast<std::int32_t>(
      std::rint(std::clamp(place, static_cast<float>(bounds.lo), static_cast<float>(bounds.hi))));
}

Variable LearnedStepQuantizer::quantize_affine(const Variable& src, double gradient_scale) {
  QuantParams bounds = grid_.bounds();
  const float step = values_of(step_.value())[0], offset = values_of(offset_.value())[0];
  bounds.zero_point = zero_point(step);
  const float least = -static_cast<float>(bounds.hi) * step, most = -static_cast<float>(bounds.lo) * step;
  if (offset < least || offset > most) offset_.value().fill(offset < least ? least : most);
  return ops::fake_quant_learned(src, step_, offset_, bounds, gradient_scale);
}

Variable LearnedStepQuantizer::quantize(const Variable& src) {
  if (is_weight_) start(src.value());
  if (!started()) return src;
  keep_at_least(step_.value(), floor_);
  const std::int64_t sharers = is_weight_ ? step_.value().numel() : src.shape()[0];
  const double served = static_cast<double>(src.value().numel()) / static_cast<double>(sharers);
  const double gradient_scale = 1 / std::sqrt(served * grid_.bounds().hi);
  return grid_.affine ? quantize_affine(src, gradient_scale)
                      : ops::fake_quant_learned(src, step_, grid_.bounds(), gradient_scale);
}

}  // namespace octet::quant
