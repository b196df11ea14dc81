// The update of momentum.h for some neighbouring elements, on a device. Included by .cu files.
#pragma once
#include "core/gpu/pack.h"

namespace octet::kernels {
namespace {

struct MomentumStep {
  float step, mu, decay;  ///< −lr, momentum, weight decay
  bool nesterov;
};

template <int kWidth>
__device__ __forceinline__ void momentum_step(const float* gradient, float* velocity, float* weight,
                                              const MomentumStep& p, std::size_t unit) {
  const auto d = gpu::load_pack<kWidth>(gradient, unit);
  auto v = gpu::load_pack<kWidth>(static_cast<const float*>(velocity), unit);
  auto w = gpu::load_pack<kWidth>(static_cast<const float*>(weight), unit);
  for (int k = 0; k < kWidth; ++k) {
    const float g = __fmaf_rn(p.decay, w.at[k], d.at[k]);
    v.at[k] = __fmaf_rn(p.mu, v.at[k], g);
    w.at[k] = __fmaf_rn(p.step, p.nesterov ? __fmaf_rn(p.mu, v.at[k], g) : v.at[k], w.at[k]);
  }
  gpu::store_pack(velocity, unit, v);
  gpu::store_pack(weight, unit, w);
}

}  // namespace
}  // namespace octet::kernels
