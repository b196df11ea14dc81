#include "quant/training/code_history.h"

#include <algorithm>

#include "kernels/oscillation/oscillation.h"
#include "nn/layers.h"
#include "quant/training/weight_grids.h"

namespace octet::quant {
namespace {

FakeQuantizer& tracked_quantizer(const std::string& layer, const nn::Module& module) {
  FakeQuantizer* quantizer = quantizer_in(module, "weight_transform");
  OCTET_CHECK(quantizer != nullptr, "code history", "the weight of {} has no grid", layer);
  return *quantizer;
}

/// How many entries are above `limit`.
template <class T>
std::int64_t count_above(const Tensor& values, T limit) {
  const Tensor here = values.to(Device::cpu);
  const auto all = here.span<T>();
  return std::count_if(all.begin(), all.end(), [limit](T x) { return x > limit; });
}

}  // namespace

CodeHistory::CodeHistory(std::string layer, nn::Module& module, double momentum, bool freezes)
    : layer_(std::move(layer)),
      module_(module),
      quantizer_(tracked_quantizer(layer_, module)),
      momentum_(static_cast<float>(momentum)) {
  const Tensor& weight = nn::weight_of(module).value();
  const auto zeros = [&](const Shape& shape, DType dtype) { return Tensor::zeros(shape, dtype, weight.device()); };
  code_ = zeros(weight.shape(), DType::s8), direction_ = zeros(weight.shape(), DType::s8);
  frequency_ = zeros(weight.shape(), DType::f32), flips_ = zeros(Shape{weight.shape()[0]}, DType::s32);
  if (freezes) average_ = zeros(weight.shape(), DType::f32), frozen_ = zeros(weight.shape(), DType::u8);
  seen_ = Tensor::zeros({1}, DType::s32);
}

void CodeHistory::hold() {
  const Tensor& weight = nn::weight_of(module_).value();
  if (!frozen_.defined()) return;
  if (!held_.defined())
    held_ = weight.clone();
  else
    held_.copy_from(weight);
}

void CodeHistory::restore_frozen() {
  Tensor weight = nn::weight_of(module_).value();
  kernels::OscillationProblem problem;
  problem.channels = weight.shape()[0], problem.inner = weight.numel() / problem.channels;
  kernels::OscillationPointers p;
  p.weight = static_cast<float*>(weight.raw()), p.held = static_cast<const float*>(held_.raw());
  p.frozen = static_cast<std::uint8_t*>(frozen_.raw());
  kernels::dispatch(kernels::oscillation_rows(), "oscillation_restore", "f32", problem, p,
                    kernels::context_of(weight.device()));
}

void CodeHistory::step(const Tensor& threshold) {
  const NoGrad no_grad;
  if (held_.defined()) restore_frozen();
  const Tensor effective = nn::effective_weight_of(module_).value();
  const auto grid = quantizer_.weight_grid(effective);
  if (!grid) return;
  const bool reparametrised = module_.slot("weight_parametrization") != nullptr;  // then nothing freezes
  Tensor weight = reparametrised ? effective : nn::weight_of(module_).value();
  const Tensor factor = reparametrised ? Tensor() : nn::folded_factor_of(module_);
  kernels::OscillationProblem problem;
  problem.channels = weight.shape()[0], problem.inner = weight.numel() / problem.channels;
  problem.per_channel = grid->scale.numel() > 1;
  problem.lo = grid->bounds.lo, problem.hi = grid->bounds.hi, problem.rule = grid->bounds.rule;
  problem.momentum = momentum_, problem.first = seen_.data<std::int32_t>()[0] == 0;
  seen_.data<std::int32_t>()[0] = 1;
  kernels::OscillationPointers p;
  p.weight = static_cast<float*>(weight.raw()), p.scale = static_cast<const float*>(grid->scale.raw());
  if (factor.defined()) p.factor = static_cast<const float*>(factor.raw());
  p.code = static_cast<std::int8_t*>(code_.raw()), p.direction = static_cast<std::int8_t*>(direction_.raw());
  p.frequency = static_cast<float*>(frequency_.raw()), p.flips = static_cast<std::int32_t*>(flips_.raw());
  if (frozen_.defined())
    p.frozen = static_cast<std::uint8_t*>(frozen_.raw()), p.average = static_cast<float*>(average_.raw());
  if (threshold.defined()) p.threshold = static_cast<const float*>(threshold.raw());
  kernels::dispatch(kernels::oscillation_rows(), "oscillation_step", "f32", problem, p,
                    kernels::context_of(weight.device()));
}

std::int64_t CodeHistory::take_flips() {
  std::int64_t all = 0;
  for (const std::int32_t flips : flips_.to(Device::cpu).span<std::int32_t>()) all += flips;
  flips_.fill(0);
  return all;
}

std::int64_t CodeHistory::oscillating(float frequency) const { return count_above<float>(frequency_, frequency); }

std::int64_t CodeHistory::frozen() const { return frozen_.defined() ? count_above<std::uint8_t>(frozen_, 0) : 0; }

nn::Module::NamedTensors CodeHistory::state() const {
  nn::Module::NamedTensors all;
  for (const auto& [name, tensor] : {std::pair<const char*, Tensor>{"code", code_},
                                     {"direction", direction_},
                                     {"frequency", frequency_},
                                     {"flips", flips_},
                                     {"average", average_},
                                     {"frozen", frozen_},
                                     {"seen", seen_}})
    if (tensor.defined()) all.emplace_back(layer_ + "." + name, tensor);
  return all;
}

std::vector<CodeHistory> code_histories(nn::Module& model, double momentum, bool freezes) {
  std::vector<CodeHistory> all;
  for (const auto& [path, layer] : layers_with_weight_grids(model)) all.emplace_back(path, *layer, momentum, freezes);
  return all;
}

}  // namespace octet::quant
