#include "kernels/batchnorm/batchnorm.h"

#include <cmath>

#include "kernels/batchnorm_affine/batchnorm_affine.h"
#include "kernels/eltwise/eltwise.h"
#include "ops/batchnorm.h"
#include "ops/common.h"

namespace octet::ops {
namespace {

constexpr const char* kAffine = "batchnorm_affine";
constexpr const char* kApply = "affine_act";

/// The statistics that an affine was made from, for its backward pass.
struct Saved {
  kernels::BatchNormAffineProblem problem;
  Tensor mean, variance, gamma, factor;
  bool through_statistics = false;  ///< gradients flow to z
};

void check_state(const BatchNormState& state, const Tensor& gamma) {
  for (const Tensor* t : {&state.running_mean, &state.running_var}) {
    detail::check_float(kAffine, "running statistics", *t);
    OCTET_CHECK(t->shape() == gamma.shape() && t->dtype() == gamma.dtype(), kAffine,
                "running statistics are {} {}, gamma is {} {}", name_of(t->dtype()), t->shape().str(),
                name_of(gamma.dtype()), gamma.shape().str());
    detail::check_device(kAffine, "running statistics", *t, gamma);
  }
  OCTET_CHECK(state.epsilon > 0 && std::isfinite(state.epsilon), kAffine, "epsilon {} is not a positive number",
              state.epsilon);
  OCTET_CHECK(state.momentum >= 0 && state.momentum <= 1, kAffine, "momentum {} is outside [0, 1]", state.momentum);
}

/// fma(z, slope, offset): the gradient of z through its statistics.
Tensor through_statistics(const Tensor& z, const Tensor& slope, const Tensor& offset) {
  Tensor d_z = detail::empty_like(z);
  kernels::EltwiseProblem problem;
  problem.count = z.numel(), problem.c = slope.numel();
  kernels::EltwisePointers p;
  p.a = z.raw(), p.scale = slope.raw(), p.shift = offset.raw(), p.dst = d_z.raw();
  kernels::dispatch(kernels::eltwise_rows(), "channel_fma_fwd", detail::row_of(z), problem, p, detail::context_of(z));
  return d_z;
}

/// dz is left to `late` where a consumer has reached z (batchnorm.h).
std::vector<Tensor> affine_backward(const Saved& saved, const Tensor& z, LateGradient* late, const Tensor& d_affine,
                                    const std::vector<bool>& needs) {
  const bool has_z = needs.size() == 3, needs_z = has_z && needs[0] && saved.through_statistics;
  const Tensor& gamma = saved.gamma;
  Tensor d_gamma = detail::empty_like(gamma), d_beta = detail::empty_like(gamma), slope, offset;
  kernels::BatchNormAffinePointers p;
  p.mean = saved.mean.raw(), p.variance = saved.variance.raw(), p.gamma = gamma.raw(), p.d_affine = d_affine.raw();
  p.d_gamma = d_gamma.raw(), p.d_beta = d_beta.raw();
  Tensor factor = saved.factor;
  if (factor.defined()) p.factor = factor.raw();
  if (needs_z) {
    slope = detail::empty_like(gamma), offset = detail::empty_like(gamma);
    p.slope = slope.raw(), p.offset = offset.raw();
  }
  kernels::dispatch(kernels::batchnorm_affine_rows(), "batchnorm_affine_bwd", detail::row_of(gamma), saved.problem, p,
                    detail::context_of(gamma));
  std::vector<Tensor> grads;
  if (has_z) grads.emplace_back();
  if (needs_z && late != nullptr && late->reached) {
    late->slope = std::move(slope), late->offset = std::move(offset);
  } else if (needs_z) {
    grads[0] = through_statistics(z, slope, offset);
  }
  grads.push_back(std::move(d_gamma));
  grads.push_back(std::move(d_beta));
  return grads;
}

void check_batchnorm(const Variable& z, const Variable& gamma, const Variable& beta, const BatchNormState& state,
                     bool training) {
  detail::check_float(kAffine, "gamma", gamma);
  detail::check_rank(kAffine, "gamma", gamma.value(), 1, "one number per channel");
  detail::check_like(kAffine, "beta", beta, gamma.value(), gamma.shape());
  check_state(state, gamma.value());
  OCTET_CHECK(z.defined() || !training, kAffine, "training needs z, whose statistics it takes");
  if (!z.defined()) return;
  detail::check_like(kAffine, "z", z, gamma.value());
  OCTET_CHECK(z.shape().rank() >= 1 && z.shape()[-1] == gamma.shape()[0], kAffine,
              "z must have {} channels innermost as gamma has, its shape is {}", gamma.shape()[0], z.shape().str());
}

}  // namespace

Variable batchnorm_affine(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state,
                          bool training, bool folded) {
  check_batchnorm(z, gamma, beta, state, training);
  detail::Statistics batch;
  if (training) {
    batch = {detail::empty_like(gamma.value()), detail::empty_like(gamma.value())};
    kernels::BatchNormProblem problem;
    problem.c = gamma.shape()[0], problem.pixels = z.value().numel() / problem.c;
    kernels::BatchNormPointers p;
    p.src = z.value().raw(), p.mean = batch.mean.raw(), p.variance = batch.variance.raw();
    kernels::dispatch(kernels::batchnorm_rows(), "batchnorm_stats", detail::row_of(batch.mean), problem, p,
                      detail::context_of(batch.mean));
  }
  return detail::affine_of(z, gamma, beta, state, training, folded, batch, nullptr);
}

Variable detail::affine_of(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state,
                           bool training, bool folded, const Statistics& batch, std::shared_ptr<LateGradient> late) {
  check_batchnorm(z, gamma, beta, state, training);
  Saved saved;
  saved.gamma = gamma.value(), saved.through_statistics = training;
  // Running statistics change later: what the backward pass reads must not.
  const bool remembers = grad_enabled() && (gamma.requires_grad() || beta.requires_grad());
  const auto kept = [&](const Tensor& running) { return remembers ? running.clone() : running; };
  saved.mean = training ? batch.mean : kept(state.running_mean);
  saved.variance = training ? batch.variance : kept(state.running_var);
  kernels::BatchNormAffineProblem& problem = saved.problem;
  problem.c = gamma.shape()[0], problem.epsilon = state.epsilon;
  if (training) problem.pixels = z.value().numel() / problem.c;
  problem.momentum = state.momentum, problem.unbiased = state.unbiased;
  using Fold = kernels::BatchNormFold;
  problem.fold = !folded ? Fold::none : training ? Fold::batch : Fold::running;

  Tensor affine = empty_like(saved.gamma, Shape{2, problem.c});
  kernels::BatchNormAffinePointers p;
  p.mean = saved.mean.raw(), p.variance = saved.variance.raw(), p.affine = affine.raw();
  p.gamma = saved.gamma.raw(), p.beta = beta.value().raw();
  if (training) p.running_mean = state.running_mean.raw(), p.running_var = state.running_var.raw();
  if (problem.fold == Fold::batch) saved.factor = empty_like(saved.gamma), p.factor = saved.factor.raw();
  kernels::dispatch(kernels::batchnorm_affine_rows(), "batchnorm_affine_fwd", row_of(affine), problem, p,
                    context_of(affine));

  std::vector<Variable> inputs;
  if (z.defined()) inputs.push_back(z);
  inputs.push_back(gamma);
  inputs.push_back(beta);
  Attributes attributes{{"epsilon", state.epsilon},
                        {"momentum", state.momentum},
                        {"unbiased", std::int64_t{state.unbiased}},
                        {"training", std::int64_t{training}},
                        {"folded", std::int64_t{folded}},
                        {"has_z", std::int64_t{z.defined()}}};
  const Tensor saved_z = training && z.requires_grad() ? z.value() : Tensor();
  return record(kAffine, std::move(attributes), std::move(inputs), std::move(affine),
                [saved = std::move(saved), saved_z, late = std::move(late)](const Tensor& d_affine,
                                                                            const std::vector<bool>& needs) {
                  return affine_backward(saved, saved_z, late.get(), d_affine, needs);
                });
}

Variable affine_act(const Variable& z, const Variable& affine, Activation act) {
  return detail::apply_affine(z, affine, act, nullptr);
}

Variable detail::apply_affine(const Variable& z, const Variable& affine, Activation act,
                              std::shared_ptr<LateGradient> late) {
  detail::check_float(kApply, "z", z);
  OCTET_CHECK(z.shape().rank() >= 1, kApply, "z must have channels innermost, its shape is {}", z.shape().str());
  const std::int64_t c = z.shape()[-1];
  detail::check_like(kApply, "affine", affine, z.value(), Shape{2, c});

  kernels::BatchNormProblem problem;
  problem.pixels = z.value().numel() / c, problem.c = c, problem.act = act;
  const auto row_offset = static_cast<std::size_t>(c) * size_of(z.value().dtype());
  Tensor dst = detail::empty_like(z.value());
  kernels::BatchNormPointers p;
  p.src = z.value().raw(), p.dst = dst.raw();
  p.scale = affine.value().raw(), p.shift = static_cast<const char*>(affine.value().raw()) + row_offset;
  kernels::dispatch(kernels::batchnorm_rows(), "affine_act_fwd", detail::row_of(dst), problem, p,
                    detail::context_of(dst));

  return record(kApply, {{"act", std::string(kernels::name_of(act))}}, {z, affine}, std::move(dst),
                [=, z = z.value(), affine = affine.value()](const Tensor& d_dst, const std::vector<bool>& needs) {
                  if (late != nullptr && needs[0]) late->reached = true;
                  Tensor d_z = detail::empty_like(z), d_affine = detail::empty_like(affine);
                  kernels::BatchNormPointers p;
                  p.src = z.raw(), p.d_dst = d_dst.raw(), p.d_src = d_z.raw();
                  p.scale = affine.raw(), p.shift = static_cast<const char*>(affine.raw()) + row_offset;
                  p.d_scale = d_affine.raw(), p.d_shift = static_cast<char*>(d_affine.raw()) + row_offset;
                  kernels::dispatch(kernels::batchnorm_rows(), "affine_act_bwd", detail::row_of(z), problem, p,
                                    detail::context_of(z));
                  return std::vector<Tensor>{d_z, d_affine};
                });
}

Variable batchnorm(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state, bool training,
                   Activation act) {
  OCTET_CHECK(z.defined(), "batchnorm", "z is undefined");
  return affine_act(z, batchnorm_affine(z, gamma, beta, state, training), act);
}

}  // namespace octet::ops
