#include "core/gpu/dialect.h"
#include "kernels/activation.h"
#include "kernels/eltwise/eltwise.h"

namespace octet::kernels {
namespace {

using gpu::kLoopThreads;
using gpu::loop_blocks;

__global__ void add(const float* a, const float* b, float* dst, std::size_t count) {
  OCTET_GRID_LOOP(i, count) dst[i] = a[i] + b[i];
}

__global__ void multiply(const float* a, const float* b, float* dst, std::size_t count) {
  OCTET_GRID_LOOP(i, count) dst[i] = a[i] * b[i];
}

__global__ void act_forward(const float* a, float* dst, Activation act, std::size_t count) {
  OCTET_GRID_LOOP(i, count) dst[i] = activate(a[i], act);
}

__global__ void act_backward(const float* a, const float* b, float* dst, Activation act, std::size_t count) {
  OCTET_GRID_LOOP(i, count) dst[i] = passes(b[i], act) ? a[i] : 0.0f;
}

__global__ void channel_fma(const float* a, const float* b, const float* scale, const float* shift, float* dst,
                            unsigned c, std::size_t count) {
  OCTET_GRID_LOOP(i, count) {
    const unsigned channel = static_cast<unsigned>(i % c);
    dst[i] = __fmaf_rn(a[i], scale[channel], b == nullptr ? shift[channel] : b[i] + shift[channel]);
  }
}

std::size_t count_of(const EltwiseProblem& problem) { return static_cast<std::size_t>(problem.count); }
const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

}  // namespace

#define OCTET_ELTWISE_ROW(pass, kernel, ...)                                                                   \
  const char* OCTET_GPU_WHY_NOT(pass##_f32)(const EltwiseProblem&) { return nullptr; }                         \
  void OCTET_GPU_NAME(pass##_f32)(const EltwiseProblem& p, const EltwisePointers& x, const Context& context) { \
    const std::size_t count = count_of(p);                                                                     \
    OCTET_LAUNCH(kernel, loop_blocks(count), kLoopThreads, context.stream, __VA_ARGS__, count);                \
  }
OCTET_ELTWISE_ROW(add_fwd, add, floats(x.a), floats(x.b), floats(x.dst))
OCTET_ELTWISE_ROW(mul_fwd, multiply, floats(x.a), floats(x.b), floats(x.dst))
OCTET_ELTWISE_ROW(act_fwd, act_forward, floats(x.a), floats(x.dst), p.act)
OCTET_ELTWISE_ROW(act_bwd, act_backward, floats(x.a), floats(x.b), floats(x.dst), p.act)
OCTET_ELTWISE_ROW(channel_fma_fwd, channel_fma, floats(x.a), floats(x.b), floats(x.scale), floats(x.shift),
                  floats(x.dst), static_cast<unsigned>(p.c))
#undef OCTET_ELTWISE_ROW

}  // namespace octet::kernels
