#include <fmt/format.h>

#include <cmath>

#include "kernels/batchnorm_affine/channel.h"
#include "kernels/batchnorm_fold/batchnorm_fold.h"
#include "kernels/blocks.h"

namespace octet::kernels {
namespace {

template <class T>
T factor_of(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x, std::int64_t c) {
  return fold_factor<T>(static_cast<const T*>(x.gamma)[c], static_cast<const T*>(x.running_var)[c], p.epsilon);
}

template <class T>
void forward(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x) {
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    const T factor = factor_of<T>(p, x, c);
    const T* src = static_cast<const T*>(x.src) + c * p.inner;
    T* dst = static_cast<T*>(x.dst) + c * p.inner;
    for (std::int64_t i = 0; i < p.inner; ++i) dst[i] = src[i] * factor;
  });
}

template <class T>
void backward(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x) {
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    const T factor = factor_of<T>(p, x, c);
    const T *src = static_cast<const T*>(x.src) + c * p.inner, *d_dst = static_cast<const T*>(x.d_dst) + c * p.inner;
    T* d_src = static_cast<T*>(x.d_src) + c * p.inner;
    double sum = 0;
    for (std::int64_t i = 0; i < p.inner; ++i) {
      sum += static_cast<double>(d_dst[i]) * static_cast<double>(src[i]);
      d_src[i] = d_dst[i] * factor;
    }
    const double variance = static_cast<const T*>(x.running_var)[c];
    static_cast<T*>(x.d_gamma)[c] = static_cast<T>(sum / std::sqrt(variance + p.epsilon));
  });
}

}  // namespace

std::string BatchNormFoldProblem::str() const { return fmt::format("channels{} inner{}", channels, inner); }

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                                                      \
  const char* pass##_##dtypes##_reference_why_not(const BatchNormFoldProblem&) { return nullptr; }                  \
  void pass##_##dtypes##_reference(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x, const Context&) { \
    run(p, x);                                                                                                      \
  }
OCTET_REFERENCE_ROW(batchnorm_fold_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(batchnorm_fold_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(batchnorm_fold_bwd, f32, backward<float>)
OCTET_REFERENCE_ROW(batchnorm_fold_bwd, f64, backward<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
