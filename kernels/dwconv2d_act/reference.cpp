// The definition of truth: plain loops in the order that dwconv2d_act.h promises.
#include <cmath>

#include "core/parallel.h"
#include "kernels/activation.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"

namespace octet::kernels {
namespace {

float sum_taps(const ConvGeometry& g, const float* picture, const float* weight, std::int64_t top, std::int64_t left) {
  float sum = 0;
  for (std::int64_t r = 0; r < g.r; ++r)
    for (std::int64_t s = 0; s < g.s; ++s) {
      const std::int64_t y = top + r, x = left + s;
      if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
      sum = std::fma(picture[(y * g.w + x) * g.c], weight[(r * g.s + s) * g.c], sum);
    }
  return sum;
}

}  // namespace

const char* dwconv2d_act_fwd_f32_reference_why_not(const DwConv2dActProblem&) { return nullptr; }
void dwconv2d_act_fwd_f32_reference(const DwConv2dActProblem& problem, const DwConv2dActPointers& io, const Context&) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.out_pixels(), [&](std::int64_t pixel) {
    const std::int64_t n = pixel / (out_h * out_w), p = pixel / out_w % out_h, q = pixel % out_w;
    const float* picture = io.src + n * g.h * g.w * g.c;
    for (std::int64_t c = 0; c < g.c; ++c) {
      const float sum = sum_taps(g, picture + c, io.weight + c, p * g.stride_h - g.pad_h, q * g.stride_w - g.pad_w);
      io.dst[pixel * g.c + c] = activate(io.bias != nullptr ? sum + io.bias[c] : sum, problem.act);
    }
  });
}

}  // namespace octet::kernels
