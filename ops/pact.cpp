#include "kernels/pact/pact.h"

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// {d_src, d_alpha}.
std::vector<Tensor> pact_backward(const kernels::PactProblem& problem, const Tensor& src, const Tensor& alpha,
                                  const Tensor& d_dst) {
  std::vector<Tensor> grads{detail::empty_like(src), detail::empty_like(alpha)};
  kernels::PactPointers p;
  p.src = src.raw(), p.alpha = alpha.raw(), p.d_dst = d_dst.raw(), p.d_src = grads[0].raw(), p.d_alpha = grads[1].raw();
  kernels::dispatch(kernels::pact_rows(), "pact_bwd", detail::row_of(src), problem, p, detail::context_of(src));
  return grads;
}

}  // namespace

Variable pact(const Variable& src, const Variable& alpha) {
  detail::check_float("pact", "src", src);
  detail::check_like("pact", "alpha", alpha, src.value());
  OCTET_CHECK(alpha.value().numel() == 1, "pact", "alpha must be one number, its shape is {}", alpha.shape().str());
  const kernels::PactProblem problem{src.value().numel()};
  Tensor dst = detail::empty_like(src.value());
  // An update changes alpha where it lies; the backward pass wants the one that was used.
  const Tensor threshold = alpha.value().clone();
  kernels::PactPointers p;
  p.src = src.value().raw(), p.alpha = threshold.raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::pact_rows(), "pact_fwd", detail::row_of(dst), problem, p, detail::context_of(dst));
  return record("pact", {}, {src, alpha}, std::move(dst),
                [problem, src = src.value(), threshold](const Tensor& d_dst, const std::vector<bool>&) {
                  return pact_backward(problem, src, threshold, d_dst);
                });
}

}  // namespace octet::ops
