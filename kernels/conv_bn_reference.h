// The definition of truth for conv2d_bn and dwconv2d_bn: the plain rooms' reference rows, one pass after the other.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/activation.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv_bn.h"
#include "kernels/eltwise/eltwise.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {
namespace {

using ConvPass = void (*)(const ConvGeometry&, const Conv2dPointers&, const Context&);
/// Reference rows of a convolution's room.
struct ConvReference {
  ConvPass fwd, bwd_data, bwd_weight;
};

inline std::size_t src_count(const ConvGeometry& g) { return static_cast<std::size_t>(g.n * g.h * g.w * g.c); }
inline std::size_t dst_count(const ConvGeometry& g) { return static_cast<std::size_t>(g.out_pixels() * g.k); }
inline BatchNormProblem batchnorm_of(std::int64_t pixels, std::int64_t c, Activation act) {
  BatchNormProblem problem;
  problem.pixels = pixels, problem.c = c, problem.act = act;
  return problem;
}
inline FakeQuantProblem grid_of(const ConvBnProblem& p) {
  FakeQuantProblem problem;
  problem.inner = static_cast<std::int64_t>(src_count(p.geometry));
  problem.zero_point = p.zero_point, problem.lo = p.lo, problem.hi = p.hi, problem.masked = p.masked;
  return problem;
}

/// act(fma(src, scale, shift)): what the quantizer sees.
inline std::vector<float> activated(const ConvBnProblem& p, const ConvBnPointers& io) {
  const ConvGeometry& g = p.geometry;
  std::vector<float> y(io.src, io.src + src_count(g));
  if (p.mapped) {
    BatchNormPointers x;
    x.src = io.src, x.scale = io.scale, x.shift = io.shift, x.dst = y.data();
    affine_act_fwd_f32_reference(batchnorm_of(g.n * g.h * g.w, g.c, p.act), x, {});
  } else {
    for (float& value : y) value = activate(value, p.act);
  }
  return y;
}

inline std::vector<float> mapped_source(const ConvBnProblem& p, const ConvBnPointers& io) {
  std::vector<float> x = activated(p, io);
  if (!p.quantized) return x;
  FakeQuantPointers q;
  q.src = x.data(), q.scale = &io.step, q.dst = x.data();
  fake_quant_fwd_f32_reference(grid_of(p), q, {});
  return x;
}

/// mean, variance, low, high of dst, those that are wanted.
inline void reference_statistics(const ConvGeometry& g, const ConvBnPointers& io) {
  if (io.mean != nullptr) {
    BatchNormPointers x;
    x.src = io.dst, x.mean = io.mean, x.variance = io.variance;
    batchnorm_stats_f32_reference(batchnorm_of(g.out_pixels(), g.k, Activation::none), x, {});
  }
  if (io.low == nullptr) return;
  for (std::int64_t k = 0; k < g.k; ++k) {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    bool lost = false;
    for (std::int64_t i = 0; i < g.out_pixels(); ++i) {
      const float z = io.dst[i * g.k + k];
      lost = lost || std::isnan(z);
      low = std::min(low, z), high = std::max(high, z);
    }
    io.low[k] = lost ? std::numeric_limits<float>::quiet_NaN() : low;
    io.high[k] = lost ? std::numeric_limits<float>::quiet_NaN() : high;
  }
}

/// What becomes of the operands of a product: they stay as they are, or are rounded.
using Rounding = float (*)(float);
inline float unrounded(float x) { return x; }
inline std::vector<float> rounded(std::vector<float> values, Rounding round) {
  for (float& value : values) value = round(value);
  return values;
}
inline void reference_forward(const ConvReference& conv, const ConvBnProblem& p, const ConvBnPointers& io,
                              Rounding round = unrounded) {
  const std::vector<float> x = rounded(mapped_source(p, io), round);
  Conv2dPointers c;
  c.src = x.data(), c.weight = io.weight, c.dst = io.dst;
  conv.fwd(p.geometry, c, {});
  reference_statistics(p.geometry, io);
}

/// d_dst with the gradient of the statistics added.
inline std::vector<float> whole_gradient(const ConvGeometry& g, const ConvBnPointers& io) {
  std::vector<float> d(io.d_dst, io.d_dst + dst_count(g));
  if (io.slope == nullptr) return d;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const std::size_t k = i % static_cast<std::size_t>(g.k);
    d[i] = d[i] + std::fma(io.z_dst[i], io.slope[k], io.offset[k]);
  }
  return d;
}

/// d_src, d_scale and d_shift from the gradient of x, which it overwrites.
inline void backward_through_map(const ConvBnProblem& p, const ConvBnPointers& io, float* d_x) {
  const ConvGeometry& g = p.geometry;
  const std::vector<float> y = activated(p, io);
  if (p.quantized && p.masked) {
    FakeQuantPointers q;
    q.src = y.data(), q.scale = &io.step, q.d_dst = d_x, q.d_src = d_x;
    fake_quant_bwd_f32_reference(grid_of(p), q, {});
  }
  if (!p.mapped) {
    for (std::size_t i = 0; i < src_count(g); ++i) io.d_src[i] = passes(io.src[i], p.act) ? d_x[i] : 0.0f;
    return;
  }
  BatchNormPointers x;
  x.src = io.src, x.scale = io.scale, x.shift = io.shift, x.d_dst = d_x;
  x.d_src = io.d_src, x.d_scale = io.d_scale, x.d_shift = io.d_shift;
  affine_act_bwd_f32_reference(batchnorm_of(g.n * g.h * g.w, g.c, p.act), x, {});
}

inline void reference_backward(const ConvReference& conv, const ConvBnProblem& p, const ConvBnPointers& io,
                               Rounding round = unrounded) {
  const std::vector<float> d = rounded(whole_gradient(p.geometry, io), round);
  Conv2dPointers c;
  c.weight = io.weight, c.d_dst = d.data();
  if (io.d_weight != nullptr) {
    const std::vector<float> x = rounded(mapped_source(p, io), round);
    c.src = x.data(), c.d_weight = io.d_weight;
    conv.bwd_weight(p.geometry, c, {});
  }
  if (io.d_src == nullptr) return;
  std::vector<float> d_x(src_count(p.geometry));
  c.d_src = d_x.data();
  conv.bwd_data(p.geometry, c, {});
  backward_through_map(p, io, d_x.data());
}

}  // namespace
}  // namespace octet::kernels
