// conv2d_act on vectors: conv2d's product (kernels/gemm), which here finds its weight transposed. Included after a simd header.
#pragma once
#include "kernels/conv2d/conv2d_vector.inl"
#include "kernels/conv2d_act/conv2d_act.h"

namespace octet::kernels {
namespace {

inline void conv2d_act_forward(const Conv2dActProblem& problem, const Conv2dActPointers& io) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t depth = g.r * g.s * g.c;
  const Product product{g.out_pixels(), g.k, depth, io.weight, io.dst, g.k, io.bias, problem.act};
  if (g.is_pointwise())
    multiply(product, DirectRows{{io.src, g.c, true}});
  else
    multiply(product, ColumnRows{g, io.src, depth});
}

}  // namespace

#define OCTET_CONV2D_ACT_ROWS(impl)                                                                          \
  const char* conv2d_act_fwd_f32_##impl##_why_not(const Conv2dActProblem&) { return nullptr; }               \
  void conv2d_act_fwd_f32_##impl(const Conv2dActProblem& problem, const Conv2dActPointers& io, const Context&) { \
    conv2d_act_forward(problem, io);                                                                         \
  }

}  // namespace octet::kernels
