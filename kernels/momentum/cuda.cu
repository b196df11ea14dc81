#include "core/gpu/pack.h"
#include "kernels/momentum/momentum.h"

namespace octet::kernels {
namespace {

using gpu::Pack;

struct Step {
  float step, mu, decay;
  bool nesterov;
};

template <int kWidth>
__global__ void momentum(const float* gradient, float* velocity, float* weight, Step p, std::size_t units) {
  OCTET_GRID_LOOP(unit, units) {
    const Pack<float, kWidth> d = gpu::load_pack<kWidth>(gradient, unit);
    Pack<float, kWidth> v = gpu::load_pack<kWidth>(velocity, unit), w = gpu::load_pack<kWidth>(weight, unit);
    for (int k = 0; k < kWidth; ++k) {
      const float g = __fmaf_rn(p.decay, w.at[k], d.at[k]);
      v.at[k] = __fmaf_rn(p.mu, v.at[k], g);
      w.at[k] = __fmaf_rn(p.step, p.nesterov ? __fmaf_rn(p.mu, v.at[k], g) : v.at[k], w.at[k]);
    }
    gpu::store_pack(velocity, unit, v);
    gpu::store_pack(weight, unit, w);
  }
}

template <int kWidth>
void launch(const MomentumProblem& p, const MomentumPointers& x, void* stream) {
  const std::size_t units = static_cast<std::size_t>(p.count) / kWidth;
  const Step step{static_cast<float>(-p.lr), static_cast<float>(p.momentum), static_cast<float>(p.weight_decay),
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
