#include <fmt/format.h>

#include "kernels/quantizer/observer_state.h"

namespace octet::kernels {
namespace {

template <class T>
void at_least(const QuantizerProblem& p, const QuantizerPointers& x) {
  for (std::int64_t i = 0; i < p.count; ++i) {
    const T value = static_cast<const T*>(x.src)[i],
            floor = x.floor != nullptr ? static_cast<T>(x.floor[i]) : static_cast<T>(p.least);
    static_cast<T*>(x.dst)[i] = value < floor ? floor : value;
  }
}

template <class T>
void scaled(const QuantizerProblem& p, const QuantizerPointers& x) {
  for (std::int64_t i = 0; i < p.count; ++i)
    static_cast<T*>(x.dst)[i] = static_cast<T>(static_cast<double>(static_cast<const T*>(x.src)[i]) * p.factor);
}

}  // namespace

std::string QuantizerProblem::str() const {
  return fmt::format("count{} kind{} rate{} hi{}{}", count, static_cast<int>(kind), rate, hi,
                     starts_step ? "" : " same step");
}

const char* observe_f32_reference_why_not(const QuantizerProblem&) { return nullptr; }
void observe_f32_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  if (x.range != nullptr || x.top != nullptr) join_state(p, x);
  if (x.scale == nullptr) return;
  float ring_top = 0;
  for (std::int64_t i = 1; is_ring(p.kind) && i < p.count; ++i) ring_top = larger(fabsf(x.state[i]), ring_top);
  *x.scale = clipped_scale(p, seen_top(p, x.state, ring_top), x.alpha);
}

const char* grid_scales_f32_reference_why_not(const QuantizerProblem&) { return nullptr; }
void grid_scales_f32_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  for (std::int64_t i = 0; i < p.count; ++i) x.scale[i] = clipped_scale(p, x.top[i], x.alpha);
}

const char* deferred_range_f32_reference_why_not(const QuantizerProblem&) { return nullptr; }
void deferred_range_f32_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  SeenRange range{INFINITY, -INFINITY};
  for (std::int64_t c = 0; c < p.count; ++c) widen_by_channel(p, x, c, range);
  store_range(range, x.range2);
}

const char* at_least_f32_reference_why_not(const QuantizerProblem&) { return nullptr; }
void at_least_f32_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  at_least<float>(p, x);
}
const char* at_least_f64_reference_why_not(const QuantizerProblem&) { return nullptr; }
void at_least_f64_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  at_least<double>(p, x);
}

const char* scaled_f32_reference_why_not(const QuantizerProblem&) { return nullptr; }
void scaled_f32_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  scaled<float>(p, x);
}
const char* scaled_f64_reference_why_not(const QuantizerProblem&) { return nullptr; }
void scaled_f64_reference(const QuantizerProblem& p, const QuantizerPointers& x, const Context&) {
  scaled<double>(p, x);
}

}  // namespace octet::kernels
