// One channel of batchnorm_affine.h, for every row.
#pragma once
#include <cmath>

#include "kernels/batchnorm_affine/batchnorm_affine.h"

namespace octet::kernels {
namespace {

template <class T>
inline OCTET_HD void affine_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x, std::int64_t i) {
  const double mean = static_cast<const T*>(x.mean)[i], variance = static_cast<const T*>(x.variance)[i];
  T* affine = static_cast<T*>(x.affine);
  const T scale = static_cast<T>(static_cast<const T*>(x.gamma)[i] * (1.0 / sqrt(variance + p.epsilon)));
  affine[i] = scale;
  affine[p.c + i] = static_cast<T>(static_cast<const T*>(x.beta)[i] - mean * scale);
  if (x.running_mean == nullptr) return;
  T *running_mean = static_cast<T*>(x.running_mean) + i, *running_var = static_cast<T*>(x.running_var) + i;
  const double keep = p.momentum, n = static_cast<double>(p.pixels);
  const double correction = p.unbiased && p.pixels > 1 ? n / (n - 1) : 1.0;
  *running_mean = static_cast<T>(keep * *running_mean + (1 - keep) * mean);
  *running_var = static_cast<T>(keep * *running_var + (1 - keep) * (variance * correction));
}

template <class T>
inline OCTET_HD void gradient_channel(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                      std::int64_t i) {
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
