// What the ops that quantize check about a grid.
#pragma once
#include "core/quant_params.h"
#include "core/tensor.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::ops::detail {

/// The kernel's problem for `src` on this grid. Throws Error "[op] …" unless the bounds are a grid, the scales (one, or one
/// per entry of axis 0) fit src and each is finite and positive (a threshold of QuantRule::paddle may be 0).
kernels::FakeQuantProblem checked_grid(const char* op, const Tensor& src, const QuantParams& params);

/// The same of `scales` scales that are not looked at.
kernels::FakeQuantProblem grid_problem(const char* op, const Tensor& src, std::size_t scales,
                                       const QuantParams& bounds);

}  // namespace octet::ops::detail
