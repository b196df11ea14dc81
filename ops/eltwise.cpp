#include "kernels/eltwise/eltwise.h"

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// dst = a ∘ b of one shape, by the pass of the eltwise room.
Tensor run(const char* pass, const Tensor& a, const Tensor& b) {
  kernels::EltwiseProblem problem;
  problem.count = a.numel();
  Tensor dst = detail::empty_like(a);
  kernels::EltwisePointers p;
  p.a = a.raw(), p.b = b.raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::eltwise_rows(), pass, detail::row_of(a), problem, p, detail::context_of(a));
  return dst;
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
  detail::check_float("add", "a", a);
  detail::check_like("add", "b", b, a.value());
  OCTET_CHECK(a.shape() == b.shape(), "add", "shapes differ (a {}, b {})", a.shape().str(), b.shape().str());
  return record("add", {}, {a, b}, run("add_fwd", a.value(), b.value()),
                [](const Tensor& d_dst, const std::vector<bool>&) {
                  return std::vector<Tensor>{d_dst, d_dst};
                });
}

Variable mul_constant(const Variable& a, const Tensor& b) {
  detail::check_float("mul_constant", "a", a);
  detail::check_float("mul_constant", "b", b);
  OCTET_CHECK(a.shape() == b.shape() && a.value().dtype() == b.dtype(), "mul_constant",
              "operands differ (a {} {}, b {} {})", name_of(a.value().dtype()), a.shape().str(), name_of(b.dtype()),
              b.shape().str());
  detail::check_device("mul_constant", "b", b, a.value());
  return record(
      "mul_constant", {}, {a}, run("mul_fwd", a.value(), b),
      [b](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{run("mul_fwd", d_dst, b)}; });
}

}  // namespace octet::ops
