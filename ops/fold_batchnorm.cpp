#include <cmath>

#include "kernels/batchnorm_fold/batchnorm_fold.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {

Variable fold_batchnorm(const Variable& weight, const Variable& gamma, const BatchNormState& state) {
  constexpr const char* kOp = "fold_batchnorm";
  detail::check_float(kOp, "weight", weight);
  OCTET_CHECK(weight.shape().rank() >= 1, kOp, "weight must have an outermost axis of channels, its shape is {}",
              weight.shape().str());
  const Shape channels{weight.shape()[0]};
  detail::check_like(kOp, "gamma", gamma, weight.value(), channels);
  detail::check_like(kOp, "running_var", Variable(state.running_var), weight.value(), channels);
  OCTET_CHECK(state.epsilon > 0 && std::isfinite(state.epsilon), kOp, "epsilon {} is not a positive number",
              state.epsilon);
  const kernels::BatchNormFoldProblem problem{channels[0], weight.value().numel() / channels[0], state.epsilon};
  // The running variance changes before the backward pass reads it.
  const bool remembers = grad_enabled() && (weight.requires_grad() || gamma.requires_grad());
  const Tensor variance = remembers ? state.running_var.clone() : state.running_var;
  Tensor dst = detail::empty_like(weight.value());
  kernels::BatchNormFoldPointers p;
  p.src = weight.value().raw(), p.gamma = gamma.value().raw(), p.running_var = variance.raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::batchnorm_fold_rows(), "batchnorm_fold_fwd", detail::row_of(dst), problem, p,
                    detail::context_of(dst));
  return record(kOp, {{"epsilon", state.epsilon}}, {weight, gamma}, std::move(dst),
                [=, weight = weight.value(), gamma = gamma.value()](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d_weight = detail::empty_like(weight), d_gamma = detail::empty_like(gamma);
                  kernels::BatchNormFoldPointers p;
                  p.src = weight.raw(), p.gamma = gamma.raw(), p.running_var = variance.raw();
                  p.d_dst = d_dst.raw(), p.d_src = d_weight.raw(), p.d_gamma = d_gamma.raw();
                  kernels::dispatch(kernels::batchnorm_fold_rows(), "batchnorm_fold_bwd", detail::row_of(d_dst),
                                    problem, p, detail::context_of(d_dst));
                  return std::vector<Tensor>{d_weight, d_gamma};
                });
}

}  // namespace octet::ops
