// The definition of truth for conv2d: plain loops in the order of summation that conv2d.h promises.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/reference_bias.h"
#include "kernels/im2col/im2col.h"

namespace octet::kernels {
namespace {

/// The c values of picture n at (y, x), or null in the padding.
template <class T>
const T* pixel_of(const ConvGeometry& g, const T* src, std::int64_t n, std::int64_t y, std::int64_t x) {
  const bool inside = y >= 0 && y < g.h && x >= 0 && x < g.w;
  return inside ? src + ((n * g.h + y) * g.w + x) * g.c : nullptr;
}

template <class T>
void forward(const ConvGeometry& g, const Conv2dPointers& io) {
  const auto* src = static_cast<const T*>(io.src);
  const auto* weight = static_cast<const T*>(io.weight);
  const auto* bias = static_cast<const T*>(io.bias);
  auto* dst = static_cast<T*>(io.dst);
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.out_pixels(), [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (out_h * out_w), p = pixel / out_w % out_h, q = pixel % out_w;
    for (std::int64_t k = 0; k < g.k; ++k) {
      T sum = 0;
      for (std::int64_t r = 0; r < g.r; ++r)
        for (std::int64_t s = 0; s < g.s; ++s) {
          const T* x = pixel_of(g, src, n, p * g.stride_h - g.pad_h + r, q * g.stride_w - g.pad_w + s);
          const T* w = weight + ((k * g.r + r) * g.s + s) * g.c;
          for (std::int64_t c = 0; c < g.c; ++c) sum = std::fma(x != nullptr ? x[c] : T(0), w[c], sum);
        }
      dst[pixel * g.k + k] = bias != nullptr ? sum + bias[k] : sum;
    }
  });
}

/// Σ_k d_dst[k] · weight[k,r,s,c]: one element of the column gradient.
template <class T>
T column_gradient(const ConvGeometry& g, const T* d_dst, const T* weight, std::int64_t tap, std::int64_t c) {
  T sum = 0;
  for (std::int64_t k = 0; k < g.k; ++k) sum = std::fma(d_dst[k], weight[(k * g.r * g.s + tap) * g.c + c], sum);
  return sum;
}

template <class T>
void backward_data(const ConvGeometry& g, const Conv2dPointers& io) {
  const auto* d_dst = static_cast<const T*>(io.d_dst);
  const auto* weight = static_cast<const T*>(io.weight);
  auto* d_src = static_cast<T*>(io.d_src);
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.n * g.h * g.w, [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (g.h * g.w), y = pixel / g.w % g.h, x = pixel % g.w;
    for (std::int64_t c = 0; c < g.c; ++c) {
      if (g.is_pointwise()) {
        d_src[pixel * g.c + c] = column_gradient(g, d_dst + pixel * g.k, weight, 0, c);
        continue;
      }
      T sum = 0;
      for (std::int64_t r = 0; r < g.r; ++r)
        for (std::int64_t s = 0; s < g.s; ++s) {
          const std::int64_t p = reader_of(y, r, g.pad_h, g.stride_h, out_h);
          const std::int64_t q = reader_of(x, s, g.pad_w, g.stride_w, out_w);
          if (p < 0 || q < 0) continue;
          sum += column_gradient(g, d_dst + ((n * out_h + p) * out_w + q) * g.k, weight, r * g.s + s, c);
        }
      d_src[pixel * g.c + c] = sum;
    }
  });
}

/// sums[r,s,c] += d · src under the window of output pixel `pixel`; padding counts as zeros.
template <class T>
void accumulate_window(const ConvGeometry& g, const T* src, std::int64_t pixel, T d, std::vector<T>& sums) {
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  const std::int64_t n = pixel / (out_h * out_w), p = pixel / out_w % out_h, q = pixel % out_w;
  auto sum = sums.begin();
  for (std::int64_t r = 0; r < g.r; ++r)
    for (std::int64_t s = 0; s < g.s; ++s) {
      const T* x = pixel_of(g, src, n, p * g.stride_h - g.pad_h + r, q * g.stride_w - g.pad_w + s);
      for (std::int64_t c = 0; c < g.c; ++c, ++sum) *sum = std::fma(d, x != nullptr ? x[c] : T(0), *sum);
    }
}

template <class T>
void backward_weight(const ConvGeometry& g, const Conv2dPointers& io) {
  const auto* src = static_cast<const T*>(io.src);
  const auto* d_dst = static_cast<const T*>(io.d_dst);
  auto* d_weight = static_cast<T*>(io.d_weight);
  const std::int64_t pixels = g.out_pixels(), chunk = reduction_chunk(pixels), inner = g.r * g.s * g.c;
  parallel_for(g.k, [&](std::int64_t k) {
    T* total = d_weight + k * inner;
    std::fill_n(total, inner, T(0));
    std::vector<T> sums(static_cast<std::size_t>(inner));
    for (std::int64_t begin = 0; begin < pixels; begin += chunk) {
      std::fill(sums.begin(), sums.end(), T(0));
      for (std::int64_t i = begin; i < std::min(begin + chunk, pixels); ++i)
        accumulate_window(g, src, i, d_dst[i * g.k + k], sums);
      for (std::int64_t i = 0; i < inner; ++i) {
        const T sum = sums[static_cast<std::size_t>(i)];
        total[i] = begin == 0 ? sum : total[i] + sum;
      }
    }
  });
  if (io.d_bias != nullptr) reference_d_bias(d_dst, pixels, g.k, static_cast<T*>(io.d_bias));
}

}  // namespace

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                              \
  const char* pass##_##dtypes##_reference_why_not(const Conv2dProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const Conv2dProblem& g, const Conv2dPointers& io, const Context&) { run(g, io); }
OCTET_REFERENCE_ROW(conv2d_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(conv2d_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(conv2d_bwd_data, f32, backward_data<float>)
OCTET_REFERENCE_ROW(conv2d_bwd_data, f64, backward_data<double>)
OCTET_REFERENCE_ROW(conv2d_bwd_weight, f32, backward_weight<float>)
OCTET_REFERENCE_ROW(conv2d_bwd_weight, f64, backward_weight<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
