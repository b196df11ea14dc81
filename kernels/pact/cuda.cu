#include "kernels/fake_quant/cuda_fold.h"
#include "kernels/pact/pact.h"

namespace octet::kernels {
namespace {

using gpu::load_pack;
using gpu::Pack;
using gpu::store_pack;

__global__ void forward(std::size_t count, const float* src, const float* alpha, float* dst) {
  const float a = *alpha;
  OCTET_GRID_LOOP(i, count) dst[i] = pact_value(src[i], a);
}

/// d_src of every element, and d_alpha's sum on the way.
struct Gradient {
  const float *src, *alpha, *d_dst;
  float* d_src;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t, std::size_t unit) const {
    const float a = *alpha;
    const Pack<float, kWidth> x = load_pack<kWidth>(src, unit), g = load_pack<kWidth>(d_dst, unit);
    Pack<float, kWidth> passed;
    for (int k = 0; k < kWidth; ++k) {
      passed.at[k] = g.at[k] * static_cast<float>(pact_passes(x.at[k], a));
      sum.sum += static_cast<double>(g.at[k]) * pact_side(x.at[k], a);
    }
    store_pack(d_src, unit, passed);
  }
};
struct ToAlpha {
  float* d_alpha;
  __device__ void put(std::size_t, Sum sum) const { *d_alpha = static_cast<float>(sum.sum); }
};

}  // namespace

const char* OCTET_GPU_WHY_NOT(pact_fwd_f32)(const PactProblem&) { return nullptr; }
void OCTET_GPU_NAME(pact_fwd_f32)(const PactProblem& p, const PactPointers& io, const Context& context) {
  const auto count = static_cast<std::size_t>(p.count);
  OCTET_LAUNCH(forward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, count,
               static_cast<const float*>(io.src), static_cast<const float*>(io.alpha), static_cast<float*>(io.dst));
}

const char* OCTET_GPU_WHY_NOT(pact_bwd_f32)(const PactProblem&) { return nullptr; }
void OCTET_GPU_NAME(pact_bwd_f32)(const PactProblem& p, const PactPointers& io, const Context& context) {
  const auto count = static_cast<std::size_t>(p.count);
  const Gradient source{static_cast<const float*>(io.src), static_cast<const float*>(io.alpha),
                        static_cast<const float*>(io.d_dst), static_cast<float*>(io.d_src)};
  fold<Sum>(source, ToAlpha{static_cast<float*>(io.d_alpha)}, 1, count,
            gpu::packable(count, 4, 16, {io.src, io.d_dst, io.d_src}), context.stream);
}

}  // namespace octet::kernels
