// A linear layer is a 1x1 convolution over m pixels: the rows of conv2d compute it, bit for bit.
#include "kernels/conv2d/conv2d.h"
#include "kernels/linear/linear.h"

namespace octet::kernels {
namespace {

Conv2dProblem as_conv2d(const LinearProblem& problem) {
  Conv2dProblem g;
  g.n = problem.m;
  g.c = problem.k;
  g.k = problem.n;
  return g;
}

Conv2dPointers as_conv2d(const LinearPointers& io) {
  return {io.src, io.weight, io.bias, io.dst, io.d_dst, io.d_src, io.d_weight, io.d_bias};
}

}  // namespace

#define OCTET_LINEAR_ROW(pass, dtypes, impl)                                                     \
  const char* linear_##pass##_##dtypes##_##impl##_why_not(const LinearProblem& problem) {        \
    return conv2d_##pass##_##dtypes##_##impl##_why_not(as_conv2d(problem));                      \
  }                                                                                              \
  void linear_##pass##_##dtypes##_##impl(const LinearProblem& problem, const LinearPointers& io, \
                                         const Context& context) {                               \
    conv2d_##pass##_##dtypes##_##impl(as_conv2d(problem), as_conv2d(io), context);               \
  }
#define OCTET_LINEAR_ROWS(dtypes, impl)    \
  OCTET_LINEAR_ROW(fwd, dtypes, impl)      \
  OCTET_LINEAR_ROW(bwd_data, dtypes, impl) \
  OCTET_LINEAR_ROW(bwd_weight, dtypes, impl)

#if OCTET_X86
OCTET_LINEAR_ROWS(f32, avx512)
OCTET_LINEAR_ROWS(f32, avx2)
#endif
#if OCTET_WITH_OPENBLAS
OCTET_LINEAR_ROWS(f32, openblas)
#endif
#if OCTET_WITH_CUDA
OCTET_LINEAR_ROWS(f32, cuda)
#endif
#if OCTET_EMULATED_GPU
OCTET_LINEAR_ROWS(f32, emulated)
#endif
OCTET_LINEAR_ROWS(f32, reference)
OCTET_LINEAR_ROWS(f64, reference)

}  // namespace octet::kernels
