#include "core/gpu/pack.h"
#include "kernels/momentum/cuda_step.h"
#include "kernels/momentum/momentum.h"

namespace octet::kernels {
namespace {

template <int kWidth>
__global__ void momentum(const float* gradient, float* velocity, float* weight, MomentumStep p, std::size_t units) {
  OCTET_GRID_LOOP(unit, units) momentum_step<kWidth>(gradient, velocity, weight, p, unit);
}

template <int kWidth>
void launch(const MomentumProblem& p, const MomentumPointers& x, void* stream) {
  const std::size_t units = static_cast<std::size_t>(p.count) / kWidth;
  const MomentumStep step{static_cast<float>(-p.lr), static_cast<float>(p.momentum), static_cast<float>(p.weight_decay),
                          p.nesterov};
  OCTET_LAUNCH(momentum<kWidth>, gpu::loop_blocks(units), gpu::kLoopThreads, stream,
               static_cast<const float*>(x.gradient), static_cast<float*>(x.velocity), static_cast<float*>(x.weight),
               step, units);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(momentum_f32)(const MomentumProblem&) { return nullptr; }
void OCTET_GPU_NAME(momentum_f32)(const MomentumProblem& p, const MomentumPointers& x, const Context& context) {
  gpu::packable(static_cast<std::size_t>(p.count), 4, 16, {x.gradient, x.velocity, x.weight})
      ? launch<4>(p, x, context.stream)
      : launch<1>(p, x, context.stream);
}

}  // namespace octet::kernels
