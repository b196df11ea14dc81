// One channel of batchnorm_affine.h, for every row.
#pragma once
#include <cmath>

#include "kernels/batchnorm_affine/batchnorm_affine.h"

namespace octet::kernels {
namespace {

/// What a weight is multiplied by when a batch norm is folded into it.
template <class T>
inline OCTET_HD T fold_factor(T gamma, T running_var, double epsilon) {
  return static_cast<T>(gamma * (1.0 / sqrt(static_cast<double>(running_var) + epsilon)));
}

/// A channel whose z has the factor: what follows from batch statistics.
struct FoldedChannel {
  double factor, variance, gamma, q;
  OCTET_HD FoldedChannel(double f, double v, double g, double epsilon)
      : factor(f), variance(v), gamma(g), q(v + epsilon * f * f) {}
  OCTET_HD bool dead() const { return !(fabs(factor) >= 0x1p-60) && factor == factor; }
  OCTET_HD double scale() const { return dead() ? 1.0 : fabs(gamma) / sqrt(q); }
  /// q^(−3/2).
  OCTET_HD double cubed() const { return dead() ? 0.0 : 1.0 / (q * sqrt(q)); }
};

template <class T>
inline OCTET_HD void store_affine(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x, std::int64_t i,
                                  T scale, double subtracted) {
  T* affine = static_cast<T*>(x.affine);
  affine[i] = scale;
  affine[p.c + i] = static_cast<T>(static_cast<const T*>(x.beta)[i] - subtracted);
}

template <class T>
inline OCTET_HD void update(const BatchNormAffineProblem& p, T& running, double batch) {
  running = static_cast<T>(p.momentum * running + (1 - p.momentum) * batch);
}

inline OCTET_HD double unbiased(const BatchNormAffineProblem& p, double variance) {
  const double n = static_cast<double>(p.pixels);
  return variance * (p.unbiased && p.pixels > 1 ? n / (n - 1) : 1.0);
}

template <class T>
inline OCTET_HD void folded_affine_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                           std::int64_t i) {
  const T mean = static_cast<const T*>(x.mean)[i], variance = static_cast<const T*>(x.variance)[i];
  const T gamma = static_cast<const T*>(x.gamma)[i];
  if (p.fold == BatchNormFold::running)
    return store_affine<T>(p, x, i, T(1), static_cast<double>(mean) * fold_factor<T>(gamma, variance, p.epsilon));
  T *running_mean = static_cast<T*>(x.running_mean) + i, *running_var = static_cast<T*>(x.running_var) + i;
  const T factor = fold_factor<T>(gamma, *running_var, p.epsilon);
  static_cast<T*>(x.factor)[i] = factor;
  const FoldedChannel channel(factor, variance, gamma, p.epsilon);
  const T scale = static_cast<T>(channel.scale());
  store_affine<T>(p, x, i, scale, static_cast<double>(mean) * scale);
  if (channel.dead()) return;
  update(p, *running_mean, mean / channel.factor);
  if (mean != 0 || variance != 0) update(p, *running_var, unbiased(p, variance / (channel.factor * channel.factor)));
}

template <class T>
inline OCTET_HD void folded_gradient_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                             std::int64_t i) {
  const double mean = static_cast<const T*>(x.mean)[i], variance = static_cast<const T*>(x.variance)[i];
  const double gamma = static_cast<const T*>(x.gamma)[i], n = static_cast<double>(p.pixels);
  const double d_scale = static_cast<const T*>(x.d_affine)[i], d_shift = static_cast<const T*>(x.d_affine)[p.c + i];
  T* d_gamma = static_cast<T*>(x.d_gamma) + i;
  static_cast<T*>(x.d_beta)[i] = static_cast<T>(d_shift);
  if (p.fold == BatchNormFold::running) {
    *d_gamma = static_cast<T>(-mean / sqrt(variance + p.epsilon) * d_shift);
    return;
  }
  const FoldedChannel channel(static_cast<const T*>(x.factor)[i], variance, gamma, p.epsilon);
  const double e = d_scale - mean * d_shift;
  *d_gamma = static_cast<T>((gamma < 0 ? -variance : variance) * channel.cubed() * e);
  if (x.slope == nullptr) return;
  const double scale = static_cast<T>(channel.scale());
  const double slope = variance == 0 ? 0.0 : -fabs(gamma) * channel.cubed() * e / n;
  static_cast<T*>(x.slope)[i] = static_cast<T>(slope);
  static_cast<T*>(x.offset)[i] = static_cast<T>(-scale * d_shift / n - slope * mean);
}

template <class T>
inline OCTET_HD void affine_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x, std::int64_t i) {
  if (p.fold != BatchNormFold::none) return folded_affine_channel<T>(p, x, i);
  const double mean = static_cast<const T*>(x.mean)[i], variance = static_cast<const T*>(x.variance)[i];
  const T scale = static_cast<T>(static_cast<const T*>(x.gamma)[i] * (1.0 / sqrt(variance + p.epsilon)));
  store_affine<T>(p, x, i, scale, mean * scale);
  if (x.running_mean == nullptr) return;
  update(p, static_cast<T*>(x.running_mean)[i], mean);
  update(p, static_cast<T*>(x.running_var)[i], unbiased(p, variance));
}

template <class T>
inline OCTET_HD void gradient_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                      std::int64_t i) {
  if (p.fold != BatchNormFold::none) return folded_gradient_channel<T>(p, x, i);
  const double mean = static_cast<const T*>(x.mean)[i], variance = static_cast<const T*>(x.variance)[i];
  const double gamma = static_cast<const T*>(x.gamma)[i], n = static_cast<double>(p.pixels);
  const double r = 1.0 / sqrt(variance + p.epsilon);
  const double d_scale = static_cast<const T*>(x.d_affine)[i], d_shift = static_cast<const T*>(x.d_affine)[p.c + i];
  const double e = d_scale - mean * d_shift;
  static_cast<T*>(x.d_gamma)[i] = static_cast<T>(r * e);
  static_cast<T*>(x.d_beta)[i] = static_cast<T>(d_shift);
  if (x.slope == nullptr) return;
  const double scale = static_cast<T>(gamma * r);
  const double slope = variance == 0 ? 0.0 : -gamma * r * r * r * e / n;
  static_cast<T*>(x.slope)[i] = static_cast<T>(slope);
  static_cast<T*>(x.offset)[i] = static_cast<T>(-scale * d_shift / n - slope * mean);
}

}  // namespace
}  // namespace octet::kernels
