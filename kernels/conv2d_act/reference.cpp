// The definition of truth: plain loops in the order of summation that conv2d_act.h promises.
#include <cmath>

#include "core/parallel.h"
#include "kernels/activation.h"
#include "kernels/conv2d_act/conv2d_act.h"

namespace octet::kernels {
namespace {

float sum_of(const ConvGeometry& g, const Conv2dActPointers& io, std::int64_t n, std::int64_t top, std::int64_t left,
             std::int64_t k) {
  float sum = 0;
  const float* weight = io.weight + k / kConv2dActPanel * kConv2dActPanel * g.r * g.s * g.c + k % kConv2dActPanel;
  for (std::int64_t r = 0; r < g.r; ++r)
    for (std::int64_t s = 0; s < g.s; ++s) {
      const std::int64_t y = top + r, x = left + s;
      const bool inside = y >= 0 && y < g.h && x >= 0 && x < g.w;
      const float* pixel = inside ? io.src + ((n * g.h + y) * g.w + x) * g.c : nullptr;
      for (std::int64_t c = 0; c < g.c; ++c, weight += kConv2dActPanel)
        sum = std::fma(inside ? pixel[c] : 0.0f, *weight, sum);
    }
  return sum;
}

}  // namespace

const char* conv2d_act_fwd_f32_reference_why_not(const Conv2dActProblem&) { return nullptr; }
void conv2d_act_fwd_f32_reference(const Conv2dActProblem& problem, const Conv2dActPointers& io, const Context&) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.out_pixels(), [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (out_h * out_w), p = pixel / out_w % out_h, q = pixel % out_w;
    for (std::int64_t k = 0; k < g.k; ++k) {
      const float sum = sum_of(g, io, n, p * g.stride_h - g.pad_h, q * g.stride_w - g.pad_w, k);
      io.dst[pixel * g.k + k] = activate(io.bias != nullptr ? sum + io.bias[k] : sum, problem.act);
    }
  });
}

}  // namespace octet::kernels
