#include "kernels/linear/linear.h"

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

using kernels::LinearPointers;
using kernels::LinearProblem;

std::vector<Tensor> linear_backward(const LinearProblem& problem, const Tensor& src, const Tensor& weight,
                                    const Tensor& d_dst, const std::vector<bool>& needs) {
  std::vector<Tensor> grads(needs.size());
  const char* row = detail::row_of(d_dst);
  if (needs[0]) {
    grads[0] = detail::empty_like(d_dst, Shape{problem.m, problem.k});
    LinearPointers p;
    p.weight = weight.raw(), p.d_dst = d_dst.raw(), p.d_src = grads[0].raw();
    kernels::dispatch(kernels::linear_rows(), "linear_bwd_data", row, problem, p, detail::context_of(d_dst));
  }
  const bool needs_bias = needs.size() > 2 && needs[2];
  if (needs[1] || needs_bias) {
    grads[1] = detail::empty_like(d_dst, Shape{problem.n, problem.k});
    if (needs_bias) grads[2] = detail::empty_like(d_dst, Shape{problem.n});
    LinearPointers p;
    p.src = src.raw(), p.d_dst = d_dst.raw(), p.d_weight = grads[1].raw();
    p.d_bias = needs_bias ? grads[2].raw() : nullptr;
    kernels::dispatch(kernels::linear_rows(), "linear_bwd_weight", row, problem, p, detail::context_of(d_dst));
  }
  return grads;
}

}  // namespace

Variable linear(const Variable& src, const Variable& weight, const Variable& bias) {
  constexpr const char* kOp = "linear";
  detail::check_float(kOp, "src", src);
  if (src.shape().rank() != 2) {
    fail(kOp, fmt::format("src must be N,K, it has shape {}", src.shape().str()), "put a flatten before it");
  }
  detail::check_like(kOp, "weight", weight, src.value());
  detail::check_rank(kOp, "weight", weight.value(), 2, "out,in");
  const LinearProblem problem{src.shape()[0], weight.shape()[0], src.shape()[1]};
  OCTET_CHECK(weight.shape()[1] == problem.k, kOp, "src has {} features, weight expects {} (src {}, weight {})",
              problem.k, weight.shape()[1], src.shape().str(), weight.shape().str());
  if (bias.defined()) detail::check_like(kOp, "bias", bias, src.value(), Shape{problem.n});

  Tensor dst = detail::empty_like(src.value(), Shape{problem.m, problem.n});
  LinearPointers p;
  p.src = src.value().raw(), p.weight = weight.value().raw(), p.dst = dst.raw();
  p.bias = bias.defined() ? bias.value().raw() : nullptr;
  kernels::dispatch(kernels::linear_rows(), "linear_fwd", detail::row_of(dst), problem, p, detail::context_of(dst));

  std::vector<Variable> inputs{src, weight};
  if (bias.defined()) inputs.push_back(bias);
  const Tensor saved_src = weight.requires_grad() || bias.requires_grad() ? src.value() : Tensor();
  const Tensor saved_weight = src.requires_grad() ? weight.value() : Tensor();
  return record(kOp, {{"has_bias", std::int64_t{bias.defined()}}}, std::move(inputs), std::move(dst),
                [=](const Tensor& d_dst, const std::vector<bool>& needs) {
                  return linear_backward(problem, saved_src, saved_weight, d_dst, needs);
                });
}

}  // namespace octet::ops
