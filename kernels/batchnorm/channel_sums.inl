// Σ u and Σ u·v per channel in double, as batchnorm.h orders them: what the passes of batchnorm and the fused
// convolutions share. Included after a simd header.
#pragma once
#include <cstdint>

namespace octet::kernels {
namespace {

/// Pixels that pass while a channel's constants and sums stay in registers; between groups the sums rest in memory.
constexpr std::int64_t kPixelGroup = 8;

/// The two sums of a vector of channels within a chunk; pixels are added in order.
struct PairSums {
  VecD sum0, sum1, product0, product1;
  OCTET_SIMD static PairSums load(const double* sums, const double* products) {
    return {VecD::load(sums), VecD::load(sums + VecD::width), VecD::load(products), VecD::load(products + VecD::width)};
  }
  OCTET_SIMD void add(VecF u, VecF v) {
    const VecD u0 = widen_low(u), u1 = widen_high(u);
    sum0 = sum0 + u0;
    sum1 = sum1 + u1;
    product0 = fma(u0, widen_low(v), product0);
    product1 = fma(u1, widen_high(v), product1);
  }
  OCTET_SIMD void store(double* sums, double* products) const {
    sum0.store(sums);
    sum1.store(sums + VecD::width);
    product0.store(products);
    product1.store(products + VecD::width);
  }
};

/// total[i] = Σ over chunks of parts[chunk · count + i], in order from zero.
inline void add_chunk_sums(const double* parts, std::int64_t chunks, std::int64_t count, double* total) {
  for (std::int64_t i = 0; i < count; ++i) total[i] = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    for (std::int64_t i = 0; i < count; ++i) total[i] += parts[chunk * count + i];
}

/// Mean and biased variance of c channels from Σ z and Σ z² over `pixels`.
inline void moments_of(const double* sums, const double* squares, std::int64_t pixels, std::int64_t c, float* mean,
                       float* variance) {
  const double count = static_cast<double>(pixels);
  for (std::int64_t i = 0; i < c; ++i) {
    const double average = sums[i] / count;
    const double spread = __builtin_fma(-average, average, squares[i] / count);
    mean[i] = static_cast<float>(average);
    variance[i] = static_cast<float>(0.0 > spread ? 0.0 : spread);
  }
}

}  // namespace
}  // namespace octet::kernels
