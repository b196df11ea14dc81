#include "core/gpu/dialect.h"
#include "kernels/dorefa/dorefa.h"
#include "kernels/dorefa/element.h"

namespace octet::kernels {
namespace {

__global__ void forward(std::size_t count, const float* src, const float* top, float* dst) {
  const float ratio = dorefa_ratio(*top);
  OCTET_GRID_LOOP(i, count) dst[i] = ratio * tanh_of(src[i]);
}

__global__ void backward(std::size_t count, const float* src, const float* top, const float* d_dst, float* d_src) {
  const float ratio = dorefa_ratio(*top);
  OCTET_GRID_LOOP(i, count) d_src[i] = d_dst[i] * dorefa_slope(src[i], ratio);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dorefa_fwd_f32)(const DorefaProblem&) { return nullptr; }
void OCTET_GPU_NAME(dorefa_fwd_f32)(const DorefaProblem& p, const DorefaPointers& io, const Context& context) {
  const auto count = static_cast<std::size_t>(p.count);
  OCTET_LAUNCH(forward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, count,
               static_cast<const float*>(io.src), static_cast<const float*>(io.top), static_cast<float*>(io.dst));
}

const char* OCTET_GPU_WHY_NOT(dorefa_bwd_f32)(const DorefaProblem&) { return nullptr; }
void OCTET_GPU_NAME(dorefa_bwd_f32)(const DorefaProblem& p, const DorefaPointers& io, const Context& context) {
  const auto count = static_cast<std::size_t>(p.count);
  OCTET_LAUNCH(backward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, count,
               static_cast<const float*>(io.src), static_cast<const float*>(io.top),
               static_cast<const float*>(io.d_dst), static_cast<float*>(io.d_src));
}

}  // namespace octet::kernels
