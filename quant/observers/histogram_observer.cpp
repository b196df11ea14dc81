#include "quant/observers/histogram_observer.h"

namespace octet::quant {
namespace {

void run(const char* pass, const Tensor& state, const HistogramSearch& search, double decay, const Tensor& top,
         const Tensor& values) {
  Tensor own = state;  // the same memory
  kernels::HistogramProblem problem;
  problem.rule = search.rule, problem.sides = search.sides, problem.hi = search.hi, problem.share = search.share;
  problem.decay = decay, problem.count = values.defined() ? values.numel() : 0;
  kernels::HistogramPointers pointers;
  pointers.state = static_cast<float*>(own.raw());
  if (top.defined()) pointers.top = static_cast<const float*>(top.raw());
  if (values.defined()) pointers.src = static_cast<const float*>(values.raw());
  kernels::dispatch(kernels::histogram_rows(), pass, "f32", problem, pointers, kernels::context_of(own.device()));
}

/// Values, f32, of abs-max `top` join a histogram, and the range is looked for anew.
void show(const Tensor& state, const HistogramSearch& search, double decay, const Tensor& top, const Tensor& values) {
  run("histogram_fit", state, search, decay, top, {});
  run("histogram_add", state, search, decay, {}, values);
  run("histogram_search", state, search, decay, {}, {});
}

}  // namespace

HistogramObserver::HistogramObserver(const HistogramSearch& search, double rate)
    : Observer(kernels::ObserverKind::min_max,
               std::vector<float>(static_cast<std::size_t>(kernels::histogram_size(search.sides)), 0.0f)),
      search_(search),
      rate_(rate) {}

void HistogramObserver::observe_values(const Tensor& values, bool starts_step) {
  const Tensor top = abs_max(values, 1);
  check(top);
  show(this->values(), search_, starts_step && !accumulating_ ? rate_ : 1, top, values.to(DType::f32));
  mark_seen();
}

Tensor histogram_threshold(const Tensor& values, const HistogramSearch& search) {
  const Tensor state = Tensor::zeros(Shape{kernels::histogram_size(search.sides)}, DType::f32, values.device());
  show(state, search, 1, abs_max(values, 1), values);
  return state.slice(1, 2);
}

}  // namespace octet::quant
