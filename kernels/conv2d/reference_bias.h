// d_bias of the reference rows (conv2d and dwconv2d): sums over pixels by the chunk rule of problem.h.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/problem.h"

namespace octet::kernels {

/// d_bias[k] = Σ d_dst[pixel, k]: plain additions from zero inside a chunk; chunk sums added in order.
template <class T>
void reference_d_bias(const T* d_dst, std::int64_t pixels, std::int64_t k, T* d_bias) {
  const std::int64_t chunk = reduction_chunk(pixels);
  for (std::int64_t j = 0; j < k; ++j) {
    T total = 0;
    for (std::int64_t begin = 0; begin < pixels; begin += chunk) {
      T sum = 0;
      for (std::int64_t i = begin; i < std::min(begin + chunk, pixels); ++i) sum += d_dst[i * k + j];
      total = begin == 0 ? sum : total + sum;
    }
    d_bias[j] = total;
  }
}

}  // namespace octet::kernels
