#include "quant/learned_step.h"

#include <algorithm>
#include <cmath>

#include "ops/ops.h"

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
      floor_(register_buffer("floor", Tensor::full({channels}, kMinScale), Device::cpu)) {
  OCTET_CHECK(grid.rule == QuantRule::onnx && !grid.affine, "lsq", "a learned step needs the onnx rule and no zero point");
}

bool LearnedStepQuantizer::started() const { return started_.data<std::int32_t>()[0] != 0; }

std::vector<float> LearnedStepQuantizer::initial_steps(const Tensor& src) const {
  const std::int64_t channels = step_.value().numel();
  const double root = std::sqrt(static_cast<double>(grid_.bounds().hi));
  std::vector<float> steps;
  const Tensor here = src.to(Device::cpu);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto step = static_cast<float>(2 * mean_abs(here, c, src.numel() / channels) / root);
    if (!std::isfinite(step)) fail("lsq", fmt::format("a first step of {}", step), "training diverged: try a smaller learning rate");
    steps.push_back(std::max(step, kMinScale));
  }
  return steps;
}

void LearnedStepQuantizer::start(const Tensor& src) {
  if (started()) return;
  const std::vector<float> steps = initial_steps(src);
  step_.value().copy_from(Tensor::from(step_.shape(), steps));
  for (std::size_t c = 0; c < steps.size(); ++c) floor_.data<float>()[c] = std::max(steps[c] * kFloorOfStart, kMinScale);
  started_.data<std::int32_t>()[0] = 1;
}

void LearnedStepQuantizer::keep_above_floor() {
  Tensor here = step_.value().to(Device::cpu);
  float* step = here.data<float>();
  for (std::int64_t c = 0; c < here.numel(); ++c) step[c] = std::max(step[c], floor_.data<float>()[c]);
  step_.value().copy_from(here);
}

std::optional<QuantParams> LearnedStepQuantizer::params() const {
  if (!started()) return std::nullopt;
  QuantParams params = grid_.bounds();
  params.axis = step_.value().numel() > 1 ? 0 : -1;
  const Tensor here = step_.value().to(Device::cpu);
  for (std::int64_t c = 0; c < here.numel(); ++c)
    params.scale.push_back(std::max(here.data<float>()[c], floor_.data<float>()[c]));
  return params;
}

std::optional<QuantParams> LearnedStepQuantizer::params_for(const Tensor& src) const {
  if (started() || !is_weight_) return params();
  QuantParams params = grid_.bounds();
  params.scale = initial_steps(src);
  params.axis = params.scale.size() > 1 ? 0 : -1;
  return params;
}

void LearnedStepQuantizer::watch(const Variable& src, bool) { start(src.value()); }

Variable LearnedStepQuantizer::quantize(const Variable& src) {
  if (is_weight_) start(src.value());
  if (!started()) return src;
  keep_above_floor();
  const std::int64_t sharers = is_weight_ ? step_.value().numel() : src.shape()[0];
  const double served = static_cast<double>(src.value().numel()) / static_cast<double>(sharers);
  return ops::fake_quant_learned(src, step_, grid_.bounds(), 1 / std::sqrt(served * grid_.bounds().hi));
}

}  // namespace octet::quant
