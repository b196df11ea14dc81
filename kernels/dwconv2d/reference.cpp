// The definition of truth for dwconv2d: plain loops in the order of summation that dwconv2d.h promises.
#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/conv2d/reference_bias.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {
namespace {

bool inside(const ConvGeometry& g, std::int64_t y, std::int64_t x) { return y >= 0 && y < g.h && x >= 0 && x < g.w; }

template <class T>
void forward(const ConvGeometry& g, const DwConv2dPointers& io) {
  const auto* src = static_cast<const T*>(io.src);
  const auto* weight = static_cast<const T*>(io.weight);
  const auto* bias = static_cast<const T*>(io.bias);
  auto* dst = static_cast<T*>(io.dst);
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.out_pixels(), [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (out_h * out_w), p = pixel / out_w % out_h, q = pixel % out_w;
    for (std::int64_t c = 0; c < g.c; ++c) {
      T sum = 0;
      for (std::int64_t r = 0; r < g.r; ++r)
        for (std::int64_t s = 0; s < g.s; ++s) {
          const std::int64_t y = p * g.stride_h - g.pad_h + r, x = q * g.stride_w - g.pad_w + s;
          if (!inside(g, y, x)) continue;
          sum = std::fma(src[((n * g.h + y) * g.w + x) * g.c + c], weight[(c * g.r + r) * g.s + s], sum);
        }
      dst[pixel * g.c + c] = bias != nullptr ? sum + bias[c] : sum;
    }
  });
}

template <class T>
void backward_data(const ConvGeometry& g, const DwConv2dPointers& io) {
  const auto* d_dst = static_cast<const T*>(io.d_dst);
  const auto* weight = static_cast<const T*>(io.weight);
  auto* d_src = static_cast<T*>(io.d_src);
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.n * g.h * g.w, [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (g.h * g.w), y = pixel / g.w % g.h, x = pixel % g.w;
    for (std::int64_t c = 0; c < g.c; ++c) {
      T sum = 0;
      for (std::int64_t r = 0; r < g.r; ++r)
        for (std::int64_t s = 0; s < g.s; ++s) {
          const std::int64_t down = y + g.pad_h - r, right = x + g.pad_w - s;
          if (down < 0 || right < 0 || down % g.stride_h != 0 || right % g.stride_w != 0) continue;
          const std::int64_t p = down / g.stride_h, q = right / g.stride_w;
          if (p >= out_h || q >= out_w) continue;
          sum = std::fma(d_dst[((n * out_h + p) * out_w + q) * g.c + c], weight[(c * g.r + r) * g.s + s], sum);
        }
      d_src[pixel * g.c + c] = sum;
    }
  });
}

/// One element of d_weight over output pixels [begin, end).
template <class T>
T tap_sum(const ConvGeometry& g, const T* src, const T* d_dst, std::int64_t c, std::int64_t r, std::int64_t s,
          std::int64_t begin, std::int64_t end) {
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  T sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t n = i / (out_h * out_w), p = i / out_w % out_h, q = i % out_w;
    const std::int64_t y = p * g.stride_h - g.pad_h + r, x = q * g.stride_w - g.pad_w + s;
    if (inside(g, y, x)) sum = std::fma(d_dst[i * g.c + c], src[((n * g.h + y) * g.w + x) * g.c + c], sum);
  }
  return sum;
}

template <class T>
void backward_weight(const ConvGeometry& g, const DwConv2dPointers& io) {
  const auto* src = static_cast<const T*>(io.src);
  const auto* d_dst = static_cast<const T*>(io.d_dst);
  auto* d_weight = static_cast<T*>(io.d_weight);
  const std::int64_t pixels = g.out_pixels(), chunk = reduction_chunk(pixels);
  parallel_for(g.c, [&](std::int64_t c) {
    for (std::int64_t r = 0; r < g.r; ++r)
      for (std::int64_t s = 0; s < g.s; ++s) {
        T total = 0;
        for (std::int64_t begin = 0; begin < pixels; begin += chunk) {
          const T sum = tap_sum(g, src, d_dst, c, r, s, begin, std::min(begin + chunk, pixels));
          total = begin == 0 ? sum : total + sum;
        }
        d_weight[(c * g.r + r) * g.s + s] = total;
      }
  });
  if (io.d_bias != nullptr) reference_d_bias(d_dst, pixels, g.c, static_cast<T*>(io.d_bias));
}

}  // namespace

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                                \
  const char* pass##_##dtypes##_reference_why_not(const DwConv2dProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context&) { run(g, io); }
OCTET_REFERENCE_ROW(dwconv2d_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(dwconv2d_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(dwconv2d_bwd_data, f32, backward_data<float>)
OCTET_REFERENCE_ROW(dwconv2d_bwd_data, f64, backward_data<double>)
OCTET_REFERENCE_ROW(dwconv2d_bwd_weight, f32, backward_weight<float>)
OCTET_REFERENCE_ROW(dwconv2d_bwd_weight, f64, backward_weight<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
