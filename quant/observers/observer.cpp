#include "quant/observers/observer.h"

#include <algorithm>
#include <cmath>

#include "core/diverged.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::quant {
namespace {

/// Runs an extremum kernel: f32 {outputs}.
Tensor extrema(const char* pass, const Tensor& values, std::int64_t channels, std::int64_t outputs) {
  OCTET_CHECK(channels >= 1 && values.numel() > 0 && values.numel() % channels == 0, "observer",
              "{} channels of a tensor {}", channels, values.shape().str());
  kernels::FakeQuantProblem problem;
  problem.channels = channels, problem.inner = values.numel() / channels;
  Tensor out(Shape{outputs}, values.dtype(), values.device());
  kernels::FakeQuantPointers pointers;
  pointers.src = values.raw(), pointers.out = out.raw();
  kernels::dispatch(kernels::fake_quant_rows(), pass, name_of(values.dtype()), problem, pointers,
                    kernels::context_of(values.device()));
  return values.dtype() == DType::f32 ? out : out.to(DType::f32);
}

}  // namespace

Tensor abs_max(const Tensor& values, std::int64_t channels) { return extrema("abs_max", values, channels, channels); }
Tensor min_max(const Tensor& values) { return extrema("min_max", values, 1, 2); }

std::vector<float> values_of(const Tensor& values) {
  const Tensor here = values.to(Device::cpu);
  return {here.data<float>(), here.data<float>() + here.numel()};
}

Observer::Observer(kernels::ObserverKind kind, const std::vector<float>& initial, double rate)
    : kind_(kind),
      rate_(rate),
      state_(register_buffer("state", Tensor::zeros(Shape{static_cast<std::int64_t>(initial.size()) + 1}))),
      step_(Tensor::zeros(Shape{5}, DType::f32, state_.device())) {
  std::vector<float> values = initial;
  values.push_back(0);
  state_.copy_from(Tensor::from(state_.shape(), values));
}

bool Observer::seen() const {
  if (state_.device() == Device::cpu) return state_.data<float>()[state_.numel() - 1] != 0;
  if (!known_seen_) known_seen_ = values_of(state_).back() != 0;
  return known_seen_;
}

Range Observer::range() const {
  const std::vector<float> v = values_of(state_);
  if (kind_ == kernels::ObserverKind::min_max || kind_ == kernels::ObserverKind::extremes) return {v[0], v[1]};
  if (kind_ == kernels::ObserverKind::range_min_max) {
    const auto highs = v.begin() + 1 + (static_cast<std::ptrdiff_t>(v.size()) - 2) / 2;
    return {*std::min_element(v.begin() + 1, highs), *std::max_element(highs, v.end() - 1)};
  }
  float top = v[0];
  if (kind_ == kernels::ObserverKind::paddle_moving_average) top = v[1] / v[0];
  if (kind_ == kernels::ObserverKind::range_abs_max) top = *std::max_element(v.begin() + 1, v.end() - 1);
  return {-top, top};
}

Tensor Observer::run(const Tensor& range, bool starts_step, const Grid* grid, const Tensor& alpha) const {
  OCTET_CHECK(!range.defined() || !wants_values(), "observer", "a {} watches values", kind());
  Tensor state = state_, step = step_;  // the same memory
  kernels::QuantizerProblem problem;
  problem.count = state.numel() - 1, problem.kind = kind_, problem.rate = rate_, problem.starts_step = starts_step;
  kernels::QuantizerPointers pointers;
  pointers.state = static_cast<float*>(state.raw()), pointers.step = static_cast<float*>(step.raw());
  if (range.defined()) (range.numel() == 2 ? pointers.range : pointers.top) = static_cast<const float*>(range.raw());
  Tensor scale;
  if (grid != nullptr) {
    scale = Tensor(Shape{1}, DType::f32, state.device());
    problem.rule = grid->rule, problem.hi = grid->bounds().hi, problem.power_of_two = grid->power_of_two;
    pointers.scale = static_cast<float*>(scale.raw());
    pointers.alpha = alpha.defined() ? static_cast<const float*>(alpha.raw()) : nullptr;
  }
  kernels::dispatch(kernels::quantizer_rows(), "observe", "f32", problem, pointers,
                    kernels::context_of(state.device()));
  return scale;
}

void Observer::check(const Tensor& range) const {
  OCTET_CHECK(
      range.dtype() == DType::f32 && range.device() == state_.device() && (range.numel() == 1 || range.numel() == 2),
      "observer", "{} numbers of type {} are no range", range.numel(), name_of(range.dtype()));
  if (range.device() != Device::cpu) return;
  const float* ends = range.data<float>();
  const float low = range.numel() == 2 ? ends[0] : -ends[0], high = ends[range.numel() - 1];
  if (!std::isfinite(low) || !std::isfinite(high))
    diverged("observer", fmt::format("an activation ranges from {} to {}", low, high));
}

void Observer::mark_seen() {
  if (!known_seen_) state_.slice(state_.numel() - 1, state_.numel()).fill(1);
  began_ = known_seen_ = true;
}

void Observer::observe_values(const Tensor&, bool) { fail("observer", fmt::format("a {} watches ranges", kind())); }

void Observer::observe(Range batch, bool starts_step) {
  observe(Tensor::from(Shape{2}, std::vector<float>{batch.min, batch.max}).to(state_.device()), starts_step);
}

void Observer::observe(const Tensor& range, bool starts_step) {
  check(range);
  run(range, starts_step || !began_, nullptr, {});
  began_ = known_seen_ = true;
}

Tensor Observer::watch(const Tensor& range, bool starts_step, const Grid& grid, const Tensor& alpha) {
  check(range);
  Tensor scale = run(range, starts_step || !began_, &grid, alpha);
  began_ = known_seen_ = true;
  return scale;
}

Tensor Observer::scale(const Grid& grid, const Tensor& alpha) const { return run({}, false, &grid, alpha); }

}  // namespace octet::quant
