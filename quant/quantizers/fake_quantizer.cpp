#include "quant/quantizers/fake_quantizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/diverged.h"
#include "core/gpu/gpu.h"
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/quantize/quantize.h"
#include "ops/ops.h"

namespace octet::quant {
namespace {

/// s8 codes of a tensor that lies on the grid; exact, since fl(q·s) / s rounds to q.
Tensor codes_of(const Tensor& values, const QuantParams& grid) {
  Tensor codes(values.shape(), DType::s8);
  kernels::QuantizeProblem problem;
  problem.channels = static_cast<std::int64_t>(grid.scale.size()), problem.inner = values.numel() / problem.channels;
  problem.zero_point = grid.zero_point, problem.lo = grid.lo, problem.hi = grid.hi, problem.rule = grid.rule;
  kernels::QuantizePointers p;
  p.src = values.raw(), p.scale = grid.scale.data(), p.dst = codes.raw();
  kernels::dispatch(kernels::quantize_rows(), "quantize_fwd", "f32s8", problem, p);
  return codes;
}

}  // namespace

void FakeQuantizer::restart() {
  reads_ = 0;
  done_.clear();
}

void FakeQuantizer::set_calibrating(bool on) {
  calibrating_ = on;
  on_calibrating(on);
  restart();
}

Variable FakeQuantizer::apply(const Variable& src) {
  const bool starts_step = reads_ == 0;
  reads_ = (reads_ + 1) % reads_per_forward_;
  const auto known =
      std::find_if(done_.begin(), done_.end(), [&](const Done& d) { return d.src.lock() == src.node(); });
  Variable dst = known != done_.end() ? known->dst : Variable();
  if (!dst.defined()) {
    if (watches()) watch(src, starts_step);
    dst = quantizing() ? quantize(src) : src;
    if (reads_per_forward_ > 1) done_.push_back({src.node(), dst});
  }
  // Nothing may outlive the pass: a result would hold its whole graph.
  if (reads_ == 0) done_.clear();
  return dst;
}

std::optional<nn::DeferredQuant> FakeQuantizer::defer(const Tensor& range, Device device) {
  // A tensor that several slots read is quantized once, so that it has to exist.
  if (reads_per_forward_ != 1 || !is_plain() || (watches() && !(range.defined() && observes_ranges())))
    return std::nullopt;
  if (device != Device::cpu && !works_there()) return std::nullopt;
  if (watches()) watch_range(range, true);
  if (!quantizing()) return nn::DeferredQuant{};
  return device == Device::cpu ? nn::DeferredQuant{params(), {}, is_masked()} : grid_there();
}

Tensor FakeQuantizer::steps() const {
  if (const Tensor there = scale_there(); there.defined() && there.device() != Device::cpu) return there;
  const auto grid = params();
  if (!grid) return {};
  std::vector<float> steps;
  for (std::size_t c = 0; c < grid->scale.size(); ++c) steps.push_back(grid->step(c));
  return Tensor::from(Shape{static_cast<std::int64_t>(steps.size())}, steps);
}

FakeQuantizer* quantizer_in(const nn::Module& module, const std::string& slot) {
  return dynamic_cast<FakeQuantizer*>(module.slot(slot).get());
}

void FixedQuantizer::bring_scale(Device device) {
  if (!scale_.defined() || scale_.device() != device)
    scale_ = Tensor::from(Shape{static_cast<std::int64_t>(params_.scale.size())}, params_.scale).to(device);
}

Variable FixedQuantizer::quantize(const Variable& src) {
  bring_scale(src.value().device());
  return ops::fake_quant(src, params_, scale_, true);
}

nn::DeferredQuant FixedQuantizer::grid_there() {
  bring_scale(Device::cuda);
  return {params_, scale_, true};
}

ActivationQuantizer::ActivationQuantizer(const Grid& grid, std::shared_ptr<Observer> observer,
                                         std::shared_ptr<Pact> pact, const SteOptions& ste)
    : grid_(grid),
      observer_(std::move(observer)),
      pact_(std::move(pact)),
      pass_(pact_ ? PassThrough{false} : pass_through(ste, grid.rule)) {
  register_module("observer", observer_);
  if (pact_) register_module("pact", pact_);
}

std::optional<QuantParams> ActivationQuantizer::params() const {
  if (!observer_->seen()) return std::nullopt;
  Range range = observer_->range();
  if (pact_) {
    const float alpha = pact_->threshold();
    range = {std::max(range.min, -alpha), std::min(range.max, alpha)};
  }
  return grid_.over(range);
}

Tensor ActivationQuantizer::alpha() const { return pact_ ? pact_->alpha() : Tensor(); }

void ActivationQuantizer::watch_range(const Tensor& range, bool starts_step) {
  if (range.device() == Device::cpu) return observer_->observe(range, starts_step);  // whose params() are at hand
  scale_ = observer_->watch(range, starts_step, grid_, {});
  scale_is_new_ = true;
}

nn::DeferredQuant ActivationQuantizer::grid_there() {
  if (!observer_->seen()) return {};
  if (!std::exchange(scale_is_new_, false)) scale_ = observer_->scale(grid_, {});
  return {grid_.bounds(), scale_, pass_.masked};
}

void ActivationQuantizer::watch(const Variable& src, bool starts_step) {
  if (observer_->wants_values()) return observer_->observe_values(src.value(), starts_step);
  const Tensor range = grid_.affine ? min_max(src.value()) : abs_max(src.value(), 1);
  if (pact_ && !pact_->started()) {
    const std::vector<float> ends = values_of(range);
    pact_->start(std::max(std::fabs(ends.front()), std::fabs(ends.back())));
  }
  if (grid_.affine) return observer_->observe(range, starts_step);
  scale_ = observer_->watch(range, starts_step, grid_, alpha());
  scale_is_new_ = true;
}

Variable ActivationQuantizer::quantize(const Variable& src) {
  if (!observer_->seen()) return src;
  const Variable clipped = pact_ ? pact_->apply(src) : src;
  if (grid_.affine) {
    const auto grid = params();
    scale_ = Tensor::from(Shape{1}, grid->scale).to(src.value().device());
    return fake_quant(clipped, *grid, scale_, pass_);
  }
  if (!std::exchange(scale_is_new_, false)) scale_ = observer_->scale(grid_, alpha());
  return fake_quant(clipped, grid_.bounds(), scale_, pass_);
}

WeightQuantizer::WeightQuantizer(const Grid& grid, const WeightRange& range, std::shared_ptr<Pact> pact,
                                 const SteOptions& ste)
    : grid_(grid), range_(range), pact_(std::move(pact)), pass_(pact_ ? PassThrough{} : pass_through(ste, grid.rule)) {
  if (range.clipping == Clipping::none) pass_.masked = false;  // nothing is beyond
  if (pact_) register_module("pact", pact_);
}

QuantParams WeightQuantizer::grid_with(const Tensor& scale) const {
  QuantParams params = grid_.bounds();
  params.scale = values_of(scale);
  params.axis = params.per_channel() ? 0 : -1;
  return params;
}

std::optional<QuantParams> WeightQuantizer::params() const {
  if (!scale_.defined()) return std::nullopt;
  return grid_with(scale_);
}

std::optional<QuantParams> WeightQuantizer::params_for(const Tensor& weight) const {
  return grid_with(scales_of(weight));
}

Tensor WeightQuantizer::scales_of(const Tensor& weight) const {
  const Tensor tops = thresholds(range_, weight, grid_.bounds());
  if (tops.device() == Device::cpu)
    for (const float top : tops.span<float>())
      if (!std::isfinite(top)) diverged("quantizer", fmt::format("a weight's range up to {} has no grid", top));
  const Tensor alpha = pact_ && pact_->started() ? pact_->alpha().to(tops.device()) : Tensor();
  Tensor scale(tops.shape(), DType::f32, tops.device());
  kernels::QuantizerProblem problem;
  problem.count = tops.numel(), problem.rule = grid_.rule, problem.hi = grid_.bounds().hi;
  problem.power_of_two = grid_.power_of_two;
  kernels::QuantizerPointers pointers;
  pointers.top = static_cast<const float*>(tops.raw()), pointers.scale = static_cast<float*>(scale.raw());
  pointers.alpha = alpha.defined() ? static_cast<const float*>(alpha.raw()) : nullptr;
  kernels::dispatch(kernels::quantizer_rows(), "grid_scales", "f32", problem, pointers,
                    kernels::context_of(scale.device()));
  return scale;
}

std::optional<ops::WeightCodes> WeightQuantizer::codes() const {
  if (!quantizing() || grid_.rule != QuantRule::onnx || !codes_.defined()) return std::nullopt;
  return ops::WeightCodes{codes_, *params()};
}

std::optional<nn::WeightTarget> WeightQuantizer::weight_target(const Tensor& weight) {
  if (!reads_parameter() || !is_plain_channels() || !quantizing() || weight.dtype() != DType::f32 ||
      weight.device() == Device::cpu)
    return std::nullopt;
  const gpu::OutsideGraph outside;
  if (!target_.value.defined())
    target_ = {grid_.bounds(), Tensor(weight.shape(), DType::f32, weight.device()),
               Tensor(Shape{weight.shape()[0]}, DType::f32, weight.device())};
  return target_;
}

Variable WeightQuantizer::quantize(const Variable& src) {
  if (target_filled_ && is_training()) {
    scale_ = target_.scale;
    return ops::quantized_already(src, grid_.bounds(), target_.scale, target_.value);
  }
  if (is_plain_channels() && src.value().dtype() == DType::f32) {
    const ops::QuantizedWeight made = ops::fake_quant_weight(src, grid_.bounds());
    scale_ = made.scale, codes_ = made.codes.codes;
    return made.value;
  }
  if (pact_ && !pact_->started()) pact_->start(values_of(abs_max(src.value(), 1))[0]);
  // The threshold's floor first: the scale follows from it.
  const Variable clipped = pact_ ? pact_->apply(src) : src;
  scale_ = scales_of(src.value());
  const Variable dst = fake_quant(clipped, grid_.bounds(), scale_, pass_);
  const bool multiplies_codes =
      grid_.rule == QuantRule::onnx && src.value().dtype() == DType::f32 && src.value().device() == Device::cpu;
  if (multiplies_codes) codes_ = codes_of(dst.value(), *params());
  return dst;
}

}  // namespace octet::quant
