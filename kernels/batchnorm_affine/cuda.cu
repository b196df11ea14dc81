#include "core/gpu/dialect.h"
#include "kernels/batchnorm_affine/channel.h"

namespace octet::kernels {
namespace {

__global__ void affine(BatchNormAffineProblem p, BatchNormAffinePointers x) {
  OCTET_GRID_LOOP(i, static_cast<std::size_t>(p.c)) affine_channel<float>(p, x, static_cast<std::int64_t>(i));
}
__global__ void gradient(BatchNormAffineProblem p, BatchNormAffinePointers x) {
  OCTET_GRID_LOOP(i, static_cast<std::size_t>(p.c)) gradient_channel<float>(p, x, static_cast<std::int64_t>(i));
}

unsigned blocks(const BatchNormAffineProblem& p) { return gpu::loop_blocks(static_cast<std::size_t>(p.c)); }

}  // namespace

const char* OCTET_GPU_WHY_NOT(batchnorm_affine_fwd_f32)(const BatchNormAffineProblem&) { return nullptr; }
void OCTET_GPU_NAME(batchnorm_affine_fwd_f32)(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                              const Context& context) {
  OCTET_LAUNCH(affine, blocks(p), gpu::kLoopThreads, context.stream, p, x);
}
const char* OCTET_GPU_WHY_NOT(batchnorm_affine_bwd_f32)(const BatchNormAffineProblem&) { return nullptr; }
void OCTET_GPU_NAME(batchnorm_affine_bwd_f32)(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x,
                                              const Context& context) {
  OCTET_LAUNCH(gradient, blocks(p), gpu::kLoopThreads, context.stream, p, x);
}

}  // namespace octet::kernels
