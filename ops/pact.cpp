#include <algorithm>

#include "core/parallel.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

constexpr std::int64_t kTask = 1 << 14;

template <class T>
T ramp(T x) {
  return x > 0 ? x : T(0);
}

template <class T>
Tensor pact_forward(const Tensor& src, T alpha) {
  Tensor dst = detail::empty_like(src);
  const T* x = src.data<T>();
  T* y = dst.data<T>();
  const std::int64_t count = src.numel();
  parallel_for((count + kTask - 1) / kTask, [&](std::int64_t task) {
    const std::int64_t end = std::min(count, (task + 1) * kTask);
    for (std::int64_t i = task * kTask; i < end; ++i) y[i] = x[i] - ramp(x[i] - alpha) + ramp(-alpha - x[i]);
  });
  return dst;
}

/// {d_src, d_alpha}; the sum runs in double within a task, tasks are added in order.
template <class T>
std::vector<Tensor> pact_backward(const Tensor& src, T alpha, const Shape& alpha_shape, const Tensor& d_dst) {
  Tensor d_src = detail::empty_like(src);
  const T* x = src.data<T>();
  const T* g = d_dst.data<T>();
  T* to = d_src.data<T>();
  const std::int64_t count = src.numel(), tasks = (count + kTask - 1) / kTask;
  std::vector<double> sums(static_cast<std::size_t>(tasks), 0.0);
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t end = std::min(count, (task + 1) * kTask);
    double sum = 0;
    for (std::int64_t i = task * kTask; i < end; ++i) {
      const int above = x[i] - alpha > 0, below = -alpha - x[i] > 0;
      to[i] = g[i] * static_cast<T>(1 - above - below);
      sum += static_cast<double>(g[i]) * (above - below);
    }
    sums[static_cast<std::size_t>(task)] = sum;
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return {d_src, Tensor::full(alpha_shape, total, src.dtype())};
}

}  // namespace

Variable pact(const Variable& src, const Variable& alpha) {
  detail::check_float("pact", "src", src);
  detail::check_like("pact", "alpha", alpha, src.value());
  OCTET_CHECK(alpha.value().numel() == 1, "pact", "alpha must be one number, its shape is {}", alpha.shape().str());
  return detail::with_float(src.value(), [&](auto zero) {
    using T = decltype(zero);
    const T threshold = static_cast<T>(alpha.value().item());
    const auto forward = [&](const Tensor& x) { return pact_forward<T>(x, threshold); };
    return record("pact", {}, {src, alpha}, detail::by_way_of_host(src.value(), forward),
                  [=, src = src.value(), shape = alpha.shape()](const Tensor& d_dst, const std::vector<bool>&) {
                    auto grads = pact_backward<T>(src.to(Device::cpu), threshold, shape, d_dst.to(Device::cpu));
                    for (Tensor& grad : grads) grad = grad.to(src.device());
                    return grads;
                  });
  });
}

}  // namespace octet::ops
