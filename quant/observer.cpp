#include "quant/observer.h"

#include <algorithm>
#include <cmath>

#include "kernels/fake_quant/fake_quant.h"

namespace octet::quant {
namespace {

float blend(double rate, float old, float fresh) {
  return static_cast<float>(rate * static_cast<double>(old) + (1 - rate) * static_cast<double>(fresh));
}

Range symmetric(float top) { return {-top, top}; }

/// Runs an extremum kernel and returns its output as floats.
std::vector<float> extrema(const char* pass, const Tensor& values, std::int64_t channels, std::int64_t outputs) {
  OCTET_CHECK(channels >= 1 && values.numel() > 0 && values.numel() % channels == 0, "observer", "{} channels of a tensor {}", channels,
              values.shape().str());
  kernels::FakeQuantProblem problem;
  problem.channels = channels, problem.inner = values.numel() / channels;
  Tensor out(Shape{outputs}, values.dtype(), values.device());
  kernels::FakeQuantPointers pointers;
  pointers.src = values.raw(), pointers.out = out.raw();
  kernels::dispatch(kernels::fake_quant_rows(), pass, name_of(values.dtype()), problem, pointers, kernels::context_of(values.device()));
  const Tensor floats = (values.dtype() == DType::f32 ? out : out.to(DType::f32)).to(Device::cpu);
  return {floats.data<float>(), floats.data<float>() + outputs};
}

}  // namespace

float Range::abs_max() const { return std::max(std::fabs(min), std::fabs(max)); }

std::vector<float> abs_max(const Tensor& values, std::int64_t channels) { return extrema("abs_max", values, channels, channels); }

Range min_max(const Tensor& values) {
  const std::vector<float> both = extrema("min_max", values, 1, 2);
  return {both[0], both[1]};
}

Observer::Observer(const State& initial)
    : state_(register_buffer("state", Tensor::zeros(Shape{static_cast<std::int64_t>(initial.size()) + 1}), Device::cpu)) {
  std::copy(initial.begin(), initial.end(), state_.data<float>());
}

Observer::State Observer::values() const { return {state_.data<float>(), state_.data<float>() + state_.numel() - 1}; }

bool Observer::seen() const { return state_.data<float>()[state_.numel() - 1] != 0; }

void Observer::observe(Range batch, bool starts_step) {
  if (!std::isfinite(batch.min) || !std::isfinite(batch.max))
    fail("observer", fmt::format("an activation ranges from {} to {}", batch.min, batch.max), "training diverged: try a smaller learning rate");
  if (starts_step || base_.empty()) {
    base_ = values(), base_seen_ = seen();
    pending_ = batch;
  } else {
    pending_ = {std::min(pending_.min, batch.min), std::max(pending_.max, batch.max)};
  }
  const State state = next(base_, pending_, !base_seen_);
  float* to = std::copy(state.begin(), state.end(), state_.data<float>());
  *to = 1;
}

// State: {largest}.
AbsMaxObserver::AbsMaxObserver() : Observer({0}) {}
Observer::State AbsMaxObserver::next(State state, Range batch, bool) const { return {std::max(state[0], batch.abs_max())}; }
Range AbsMaxObserver::range_of(const State& state) const { return symmetric(state[0]); }

// State: {average}.
MovingAverageAbsMaxObserver::MovingAverageAbsMaxObserver(double rate) : Observer({0}), rate_(rate) {}
Observer::State MovingAverageAbsMaxObserver::next(State state, Range batch, bool first) const {
  return {first ? batch.abs_max() : blend(rate_, state[0], batch.abs_max())};
}
Range MovingAverageAbsMaxObserver::range_of(const State& state) const { return symmetric(state[0]); }

// State: {state, accum}, in f32 as PaddlePaddle has them.
PaddleMovingAverageObserver::PaddleMovingAverageObserver(double rate) : Observer({1, 1}), rate_(static_cast<float>(rate)) {}
Observer::State PaddleMovingAverageObserver::next(State state, Range batch, bool) const {
  return {rate_ * state[0] + 1.0f, rate_ * state[1] + batch.abs_max()};
}
Range PaddleMovingAverageObserver::range_of(const State& state) const { return symmetric(state[1] / state[0]); }

// State: {place of the next batch, window …}; places not filled yet hold 0.
RangeAbsMaxObserver::RangeAbsMaxObserver(int window) : Observer(State(static_cast<std::size_t>(window) + 1, 0.0f)) {}
Observer::State RangeAbsMaxObserver::next(State state, Range batch, bool) const {
  const auto window = state.size() - 1;
  const auto place = static_cast<std::size_t>(state[0]) % window;
  state[1 + place] = batch.abs_max();
  state[0] = static_cast<float>((place + 1) % window);
  return state;
}
Range RangeAbsMaxObserver::range_of(const State& state) const { return symmetric(*std::max_element(state.begin() + 1, state.end())); }

// State: {min, max}.
MinMaxObserver::MinMaxObserver(double rate) : Observer({0, 0}), rate_(rate) {}
Observer::State MinMaxObserver::next(State state, Range batch, bool first) const {
  if (first) return {batch.min, batch.max};
  return {blend(rate_, state[0], batch.min), blend(rate_, state[1], batch.max)};
}
Range MinMaxObserver::range_of(const State& state) const { return {state[0], state[1]}; }

std::shared_ptr<Observer> make_observer(const QuantConfig& config) {
  switch (config.activation_quantize_type) {
    case ActivationQuantize::abs_max: return std::make_shared<AbsMaxObserver>();
    case ActivationQuantize::range_abs_max: return std::make_shared<RangeAbsMaxObserver>(config.window_size);
    case ActivationQuantize::min_max: return std::make_shared<MinMaxObserver>(config.moving_rate);
    case ActivationQuantize::lsq: return nullptr;
    case ActivationQuantize::moving_average_abs_max: break;
  }
  if (config.scheme == Scheme::paddle) return std::make_shared<PaddleMovingAverageObserver>(config.moving_rate);
  return std::make_shared<MovingAverageAbsMaxObserver>(config.moving_rate);
}

}  // namespace octet::quant
