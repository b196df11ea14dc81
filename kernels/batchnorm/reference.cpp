// The definition of the batch normalisation passes, in f32 and f64.
#include <cmath>
#include <vector>

#include "kernels/activation.h"
#include "kernels/batchnorm/batchnorm.h"

namespace octet::kernels {
namespace {

/// Two sums per channel over the pixels: chunks in order, each summed from zero. add(i, c, first, second) adds
/// element i.
template <class Add>
void channel_sums(const BatchNormProblem& p, std::vector<double>& first, std::vector<double>& second, Add add) {
  const auto channels = static_cast<std::size_t>(p.c);
  first.assign(channels, 0.0);
  second.assign(channels, 0.0);
  const std::int64_t chunk = reduction_chunk(p.pixels);
  for (std::int64_t begin = 0; begin < p.pixels; begin += chunk) {
    const std::int64_t end = begin + chunk < p.pixels ? begin + chunk : p.pixels;
    std::vector<double> first_part(channels, 0.0), second_part(channels, 0.0);
    for (std::int64_t pixel = begin; pixel < end; ++pixel) {
      for (std::size_t c = 0; c < channels; ++c) {
        add(pixel * p.c + static_cast<std::int64_t>(c), c, first_part[c], second_part[c]);
      }
    }
    for (std::size_t c = 0; c < channels; ++c) {
      first[c] += first_part[c];
      second[c] += second_part[c];
    }
  }
}

template <class T>
void batchnorm_stats(const BatchNormProblem& p, const BatchNormPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  std::vector<double> sum, squares;
  channel_sums(p, sum, squares, [&](std::int64_t i, std::size_t, double& s, double& q) {
    const double z = src[i];
    s += z;
    q = std::fma(z, z, q);
  });
  const double pixels = static_cast<double>(p.pixels);
  for (std::size_t c = 0; c < sum.size(); ++c) {
    const double mean = sum[c] / pixels;
    const double variance = std::fma(-mean, mean, squares[c] / pixels);
    static_cast<T*>(x.mean)[c] = static_cast<T>(mean);
    static_cast<T*>(x.variance)[c] = static_cast<T>(0.0 > variance ? 0.0 : variance);
  }
}

template <class T>
void affine_act_fwd(const BatchNormProblem& p, const BatchNormPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  const T* scale = static_cast<const T*>(x.scale);
  const T* shift = static_cast<const T*>(x.shift);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t pixel = 0, i = 0; pixel < p.pixels; ++pixel) {
    for (std::int64_t c = 0; c < p.c; ++c, ++i) dst[i] = activate(std::fma(src[i], scale[c], shift[c]), p.act);
  }
}

template <class T>
void affine_act_bwd(const BatchNormProblem& p, const BatchNormPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  const T* scale = static_cast<const T*>(x.scale);
  const T* shift = static_cast<const T*>(x.shift);
  const T* d_dst = static_cast<const T*>(x.d_dst);
  T* d_src = static_cast<T*>(x.d_src);
  std::vector<double> d_scale, d_shift;
  channel_sums(p, d_scale, d_shift, [&](std::int64_t i, std::size_t c, double& s, double& t) {
    const T g = passes(std::fma(src[i], scale[c], shift[c]), p.act) ? d_dst[i] : T(0);
    d_src[i] = g * scale[c];
    s = std::fma(static_cast<double>(g), static_cast<double>(src[i]), s);
    t += static_cast<double>(g);
  });
  for (std::size_t c = 0; c < d_scale.size(); ++c) {
    static_cast<T*>(x.d_scale)[c] = static_cast<T>(d_scale[c]);
    static_cast<T*>(x.d_shift)[c] = static_cast<T>(d_shift[c]);
  }
}

}  // namespace

#define ROW(pass, dtypes, T)                                                                                \
  const char* pass##_##dtypes##_reference_why_not(const BatchNormProblem&) { return nullptr; }              \
  void pass##_##dtypes##_reference(const BatchNormProblem& p, const BatchNormPointers& x, const Context&) { \
    pass<T>(p, x);                                                                                          \
  }
ROW(batchnorm_stats, f32, float)
ROW(batchnorm_stats, f64, double)
ROW(affine_act_fwd, f32, float)
ROW(affine_act_fwd, f64, double)
ROW(affine_act_bwd, f32, float)
ROW(affine_act_bwd, f64, double)
#undef ROW

}  // namespace octet::kernels
