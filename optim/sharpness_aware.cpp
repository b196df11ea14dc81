#include "optim/sharpness_aware.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "ops/ops.h"

namespace octet::optim {
namespace {

constexpr std::int64_t kLanes = 8;  // sums beside each other, so that none waits for the one before

double sum_of_squares(const Tensor& values) {
  double lanes[kLanes] = {};
  const float* const x = values.data<float>();
  const std::int64_t count = values.numel(), whole = count / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) lanes[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (std::int64_t i = whole; i < count; ++i)
    lanes[i - whole] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::accumulate(lanes, lanes + kLanes, 0.0);
}

void add(Tensor& to, const Tensor& values, float factor) {
  float* const w = to.data<float>();
  const float* const g = values.data<float>();
  for (std::int64_t i = 0; i < to.numel(); ++i) w[i] += factor * g[i];
}

}  // namespace

SharpnessAware::SharpnessAware(nn::Module& model, const SharpnessOptions& options) : model_(model), options_(options) {
  OCTET_CHECK(std::isfinite(options.radius) && options.radius > 0, "sharpness", "radius {}, it must be above 0",
              options.radius);
  OCTET_CHECK(options.share >= 1, "sharpness", "a share of 1/{} of a batch; 1 or more", options.share);
  OCTET_CHECK(model.device() == Device::cpu, "sharpness", "the model is not on the processor");
}

template <class F>
void SharpnessAware::for_each(const F& body) {
  parallel_for(static_cast<std::int64_t>(parameters_.size()),
               [&](std::int64_t i) { body(parameters_[static_cast<std::size_t>(i)]); });
}

// Thresholds that quantization has added since take part.
void SharpnessAware::begin_fit(std::int64_t) {
  parameters_.clear();
  for (const auto& [name, parameter] : model_.named_parameters())
    parameters_.push_back({parameter, Tensor(parameter.shape())});
}

double SharpnessAware::gradient_norm() {
  for_each([](Climbed& p) { p.squares = p.parameter.grad().defined() ? sum_of_squares(p.parameter.grad()) : 0; });
  double sum = 0;
  for (const Climbed& p : parameters_) sum += p.squares;
  return std::sqrt(sum);
}

// Where the loss is flat or not finite there is no way up: the step itself finds out.
void SharpnessAware::begin_batch(const data::Batch& batch) {
  const profile::Span span(profile::Kind::phase, "climb");
  const std::int64_t part = std::max<std::int64_t>(1, batch.size() / options_.share);
  const Variable logits = model_(Variable(batch.images.slice(0, part)));
  ops::softmax_cross_entropy(logits, batch.labels.slice(0, part), options_.label_smoothing).backward();
  const double norm = gradient_norm();
  up_ = std::isfinite(norm) && norm > 0;
  for_each([&](Climbed& p) {
    p.before.copy_from(p.parameter.value());
    if (up_ && p.parameter.grad().defined())
      add(p.parameter.value(), p.parameter.grad(), static_cast<float>(options_.radius / norm));
    p.parameter.zero_grad();
  });
}

void SharpnessAware::come_down() {
  if (up_) for_each([](Climbed& p) { p.parameter.value().copy_from(p.before); });
  up_ = false;
}

}  // namespace octet::optim
