#include "kernels/batchnorm/batchnorm.h"

#include <cmath>

#include "kernels/eltwise/eltwise.h"
#include "ops/batchnorm.h"
#include "ops/common.h"

namespace octet::ops {
namespace {

constexpr const char* kAffine = "batchnorm_affine";
constexpr const char* kApply = "affine_act";

/// The statistics that an affine was made from, with what its gradient needs, per channel in double.
struct Saved {
  std::int64_t pixels = 0;
  bool through_statistics = false;  ///< gradients flow to z
  std::vector<double> mean, invstd, scale;
  std::vector<bool> constant;  ///< variance 0: it has no gradient there, only the mean has
};

void check_state(const BatchNormState& state, const Tensor& gamma) {
  for (const Tensor* t : {&state.running_mean, &state.running_var}) {
    detail::check_float(kAffine, "running statistics", *t);
    OCTET_CHECK(t->shape() == gamma.shape() && t->dtype() == gamma.dtype(), kAffine,
                "running statistics are {} {}, gamma is {} {}", name_of(t->dtype()), t->shape().str(),
                name_of(gamma.dtype()), gamma.shape().str());
  }
  OCTET_CHECK(state.epsilon > 0 && std::isfinite(state.epsilon), kAffine, "epsilon {} is not a positive number",
              state.epsilon);
  OCTET_CHECK(state.momentum >= 0 && state.momentum <= 1, kAffine, "momentum {} is outside [0, 1]", state.momentum);
}

/// running = momentum·running + (1 − momentum)·batch, in double, rounded once.
template <class T>
void update_running(BatchNormState& state, const Tensor& mean, const Tensor& variance, std::int64_t pixels) {
  const double keep = state.momentum;
  const double n = static_cast<double>(pixels);
  const double correction = state.unbiased && pixels > 1 ? n / (n - 1) : 1.0;
  T* running_mean = state.running_mean.data<T>();
  T* running_var = state.running_var.data<T>();
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    const double m = mean.data<T>()[c], v = variance.data<T>()[c] * correction;
    running_mean[c] = static_cast<T>(keep * running_mean[c] + (1 - keep) * m);
    running_var[c] = static_cast<T>(keep * running_var[c] + (1 - keep) * v);
  }
}

/// Fills affine {2, c} from statistics, and what the backward pass needs. The shift is made from the rounded scale, so
/// that the map sends the mean to β as closely as it can.
template <class T>
Saved make_affine(const Tensor& mean, const Tensor& variance, const Tensor& gamma, const Tensor& beta, double epsilon,
                  Tensor& affine) {
  Saved saved;
  const std::int64_t c = gamma.numel();
  for (auto* list : {&saved.mean, &saved.invstd, &saved.scale}) list->reserve(static_cast<std::size_t>(c));
  saved.constant.reserve(static_cast<std::size_t>(c));
  T* scale = affine.data<T>();
  T* shift = scale + c;
  for (std::int64_t i = 0; i < c; ++i) {
    const double m = mean.data<T>()[i], v = variance.data<T>()[i];
    const double invstd = 1.0 / std::sqrt(v + epsilon);
    scale[i] = static_cast<T>(gamma.data<T>()[i] * invstd);
    shift[i] = static_cast<T>(beta.data<T>()[i] - m * scale[i]);
    saved.mean.push_back(m);
    saved.invstd.push_back(invstd);
    saved.scale.push_back(scale[i]);
    saved.constant.push_back(v == 0);
  }
  return saved;
}

/// fma(z, slope, offset): the gradient of z through its statistics.
Tensor through_statistics(const Tensor& z, const Tensor& slope, const Tensor& offset) {
  Tensor d_z = detail::empty_like(z);
  kernels::EltwiseProblem problem;
  problem.count = z.numel(), problem.c = slope.numel();
  kernels::EltwisePointers p;
  p.a = z.raw(), p.scale = slope.raw(), p.shift = offset.raw(), p.dst = d_z.raw();
  kernels::dispatch(kernels::eltwise_rows(), "channel_fma_fwd", detail::row_of(z), problem, p);
  return d_z;
}

/// With r = 1/√(var + ε), scale = γ·r, shift = β − mean·scale:
///   dβ = d_shift,  dγ = r·e with e = d_scale − mean·d_shift,  d_mean = −scale·d_shift,  d_var = −γ·r³·e / 2
///   dz = d_mean/P + d_var·2(z − mean)/P  =  slope·z + offset,  slope = 2·d_var/P,  offset = d_mean/P − slope·mean
/// dz is left to `late` where a consumer has reached z (batchnorm.h).
template <class T>
std::vector<Tensor> affine_backward(const Saved& saved, const Tensor& z, const Tensor& gamma, LateGradient* late,
                                    const Tensor& d_affine, const std::vector<bool>& needs) {
  const std::int64_t c = gamma.numel();
  const bool has_z = needs.size() == 3;
  const bool needs_z = has_z && needs[0] && saved.through_statistics;
  Tensor d_gamma(gamma.shape(), gamma.dtype()), d_beta(gamma.shape(), gamma.dtype());
  Tensor slope(gamma.shape(), gamma.dtype()), offset(gamma.shape(), gamma.dtype());
  const double n = static_cast<double>(saved.pixels);
  for (std::int64_t i = 0; i < c; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double d_scale = d_affine.data<T>()[i], d_shift = d_affine.data<T>()[c + i];
    const double r = saved.invstd[at], e = d_scale - saved.mean[at] * d_shift;
    d_gamma.data<T>()[i] = static_cast<T>(r * e);
    d_beta.data<T>()[i] = static_cast<T>(d_shift);
    if (!needs_z) continue;
    const double k = saved.constant[at] ? 0.0 : -gamma.data<T>()[i] * r * r * r * e / n;
    slope.data<T>()[i] = static_cast<T>(k);
    offset.data<T>()[i] = static_cast<T>(-saved.scale[at] * d_shift / n - k * saved.mean[at]);
  }
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
                          bool training) {
  check_batchnorm(z, gamma, beta, state, training);
  detail::Statistics batch;
  if (training) {
    batch = {detail::empty_like(gamma.value()), detail::empty_like(gamma.value())};
    kernels::BatchNormProblem problem;
    problem.c = gamma.shape()[0], problem.pixels = z.value().numel() / problem.c;
    kernels::BatchNormPointers p;
    p.src = z.value().raw(), p.mean = batch.mean.raw(), p.variance = batch.variance.raw();
    kernels::dispatch(kernels::batchnorm_rows(), "batchnorm_stats", detail::row_of(batch.mean), problem, p);
  }
  return detail::affine_of(z, gamma, beta, state, training, batch, nullptr);
}

Variable detail::affine_of(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state,
                           bool training, const Statistics& batch, std::shared_ptr<LateGradient> late) {
  check_batchnorm(z, gamma, beta, state, training);
  const Tensor& mean = training ? batch.mean : state.running_mean;
  const Tensor& variance = training ? batch.variance : state.running_var;
  const std::int64_t c = gamma.shape()[0];
  return with_float(mean, [&](auto zero) {
    using T = decltype(zero);
    Tensor affine(Shape{2, c}, mean.dtype());
    Saved saved = make_affine<T>(mean, variance, gamma.value(), beta.value(), state.epsilon, affine);
    saved.through_statistics = training;
    if (training) {
      saved.pixels = z.value().numel() / c;
      update_running<T>(state, mean, variance, saved.pixels);
    }
    std::vector<Variable> inputs;
    if (z.defined()) inputs.push_back(z);
    inputs.push_back(gamma);
    inputs.push_back(beta);
    Attributes attributes{{"epsilon", state.epsilon},
                          {"momentum", state.momentum},
                          {"unbiased", std::int64_t{state.unbiased}},
                          {"training", std::int64_t{training}},
                          {"has_z", std::int64_t{z.defined()}}};
    const Tensor saved_z = training && z.requires_grad() ? z.value() : Tensor();
    return record(kAffine, std::move(attributes), std::move(inputs), std::move(affine),
                  [saved = std::move(saved), saved_z, gamma = gamma.value(), late = std::move(late)](
                      const Tensor& d_affine, const std::vector<bool>& needs) {
                    return affine_backward<T>(saved, saved_z, gamma, late.get(), d_affine, needs);
                  });
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
  kernels::dispatch(kernels::batchnorm_rows(), "affine_act_fwd", detail::row_of(dst), problem, p);

  return record(kApply, {{"act", std::string(kernels::name_of(act))}}, {z, affine}, std::move(dst),
                [=, z = z.value(), affine = affine.value()](const Tensor& d_dst, const std::vector<bool>& needs) {
                  if (late != nullptr && needs[0]) late->reached = true;
                  Tensor d_z = detail::empty_like(z), d_affine = detail::empty_like(affine);
                  kernels::BatchNormPointers p;
                  p.src = z.raw(), p.d_dst = d_dst.raw(), p.d_src = d_z.raw();
                  p.scale = affine.raw(), p.shift = static_cast<const char*>(affine.raw()) + row_offset;
                  p.d_scale = d_affine.raw(), p.d_shift = static_cast<char*>(d_affine.raw()) + row_offset;
                  kernels::dispatch(kernels::batchnorm_rows(), "affine_act_bwd", detail::row_of(z), problem, p);
                  return std::vector<Tensor>{d_z, d_affine};
                });
}

Variable batchnorm(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state, bool training,
                   Activation act) {
  OCTET_CHECK(z.defined(), "batchnorm", "z is undefined");
  return affine_act(z, batchnorm_affine(z, gamma, beta, state, training), act);
}

}  // namespace octet::ops
