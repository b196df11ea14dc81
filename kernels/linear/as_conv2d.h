// A linear layer is a 1x1 convolution over m pixels: the same rows of conv2d compute it, bit for bit.
#pragma once
#include "kernels/conv2d/conv2d.h"
#include "kernels/linear/linear.h"

namespace octet::kernels {

inline Conv2dProblem as_conv2d(const LinearProblem& problem) {
  Conv2dProblem g;
  g.n = problem.m;
  g.c = problem.k;
  g.k = problem.n;
  return g;
}

inline Conv2dPointers as_conv2d(const LinearPointers& io) {
  Conv2dPointers to;
  to.src = io.src;
  to.weight = io.weight;
  to.bias = io.bias;
  to.dst = io.dst;
  to.d_dst = io.d_dst;
  to.d_src = io.d_src;
  to.d_weight = io.d_weight;
  to.d_bias = io.d_bias;
  return to;
}

}  // namespace octet::kernels

/// Defines the linear row `pass` by the row of conv2d with the same dtypes and implementation.
#define OCTET_LINEAR_ROW(pass, dtypes, impl)                                                         \
  const char* linear_##pass##_##dtypes##_##impl##_why_not(const LinearProblem& problem) {            \
    return conv2d_##pass##_##dtypes##_##impl##_why_not(as_conv2d(problem));                          \
  }                                                                                                  \
  void linear_##pass##_##dtypes##_##impl(const LinearProblem& problem, const LinearPointers& io, const Context& context) { \
    conv2d_##pass##_##dtypes##_##impl(as_conv2d(problem), as_conv2d(io), context);                   \
  }
