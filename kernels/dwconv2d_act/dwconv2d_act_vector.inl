// The forward pass of dwconv2d with an activation in its store. Included after a simd header.
#pragma once
#include <limits>

#include "kernels/dwconv2d/pixel_pass.inl"
#include "kernels/dwconv2d_act/dwconv2d_act.h"

namespace octet::kernels {
namespace {

/// The bounds that an activation holds its values in.
inline Clamp clamp_of(Activation act) {
  constexpr float kNone = std::numeric_limits<float>::infinity();
  return {act == Activation::none ? -kNone : 0.0f, act == Activation::relu6 ? 6.0f : kNone};
}

inline void dwconv2d_act_forward(const DwConv2dActProblem& problem, const DwConv2dActPointers& io) {
  const ConvGeometry& g = problem.geometry;
  const Clamp clamp = clamp_of(problem.act);
  Pass pass{down_axis(g, false), right_axis(g, false), g.n, g.c, io.src, io.weight, io.bias, io.dst};
  if (problem.act != Activation::none) pass.clamp = &clamp;
  run_pass(pass, has_own_code(g));
}

}  // namespace

#define OCTET_DWCONV2D_ACT_ROW(impl)                                                                             \
  const char* dwconv2d_act_fwd_f32_##impl##_why_not(const DwConv2dActProblem&) { return nullptr; }               \
  void dwconv2d_act_fwd_f32_##impl(const DwConv2dActProblem& p, const DwConv2dActPointers& io, const Context&) { \
    dwconv2d_act_forward(p, io);                                                                                 \
  }

}  // namespace octet::kernels
