// d_bias of the vector rows: sums over pixels by the chunk rule of problem.h, plain additions from zero.
#pragma once
#include <cstdint>

#include "core/allocator.h"
#include "core/parallel.h"
#include "kernels/gemm/extents.h"
#include "kernels/problem.h"

namespace octet::kernels {
namespace {

/// sums[0, lanes) = Σ over `pixels` rows of d (row stride k), in order.
inline void sum_rows(const float* d, std::int64_t pixels, std::int64_t k, int lanes, float* sums) {
  VecF sum = VecF::zero();
  for (std::int64_t i = 0; i < pixels; ++i)
    sum = sum + (lanes == VecF::width ? VecF::load(d + i * k) : VecF::load(d + i * k, lanes));
  sum.store(sums, lanes);
}

/// total[i] += Σ over all given parts of parts[part · count + i], in order.
inline void add_parts(const float* parts, std::int64_t part_count, std::int64_t count, float* total) {
  for (std::int64_t part = 0; part < part_count; ++part)
    for (std::int64_t i = 0; i < count; ++i) total[i] += parts[part * count + i];
}

/// d_bias[j] = Σ d_dst[pixel, j].
inline void column_sums(const float* d_dst, std::int64_t pixels, std::int64_t k, float* d_bias) {
  constexpr int W = VecF::width;
  if (pixels == 0) {
    for (std::int64_t j = 0; j < k; ++j) d_bias[j] = 0;
    return;
  }
  const std::int64_t chunk = reduction_chunk(pixels), chunks = ceil_div(pixels, chunk), vecs = ceil_div(k, W);
  const std::size_t bytes = static_cast<std::size_t>(chunks * k) * sizeof(float);
  auto* parts = static_cast<float*>(scratch_acquire(bytes));
  parallel_for(chunks * vecs, [&](std::int64_t task) {
    const std::int64_t part = task / vecs, j = task % vecs * W, first = part * chunk;
    const std::int64_t count = smaller(pixels - first, chunk);
    sum_rows(d_dst + first * k + j, count, k, static_cast<int>(smaller(k - j, W)), parts + part * k + j);
  });
  for (std::int64_t j = 0; j < k; ++j) d_bias[j] = parts[j];
  add_parts(parts + k, chunks - 1, k, d_bias);
  scratch_release(parts, bytes);
}

}  // namespace
}  // namespace octet::kernels
