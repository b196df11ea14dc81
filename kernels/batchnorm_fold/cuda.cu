#include "kernels/batchnorm_affine/channel.h"
#include "kernels/batchnorm_fold/batchnorm_fold.h"
#include "kernels/fake_quant/cuda_fold.h"

namespace octet::kernels {
namespace {

/// Where a channel's factor comes from.
struct Scales {
  const float *gamma, *running_var;
  double epsilon;
  __device__ float factor(std::size_t c) const { return fold_factor<float>(gamma[c], running_var[c], epsilon); }
};

__global__ void forward(Scales scales, const float* src, float* dst, std::size_t count, std::size_t inner) {
  OCTET_GRID_LOOP(i, count) dst[i] = __fmul_rn(src[i], scales.factor(i / inner));
}

/// d_src of every element, and the sum for γ on the way.
struct Gradient {
  Scales scales;
  const float *src, *d_dst;
  float* d_src;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t channel, std::size_t unit) const {
    const float factor = scales.factor(channel);
    const gpu::Pack<float, kWidth> x = gpu::load_pack<kWidth>(src, unit), d = gpu::load_pack<kWidth>(d_dst, unit);
    gpu::Pack<float, kWidth> to;
    for (int k = 0; k < kWidth; ++k) {
      sum.sum += static_cast<double>(d.at[k]) * static_cast<double>(x.at[k]);
      to.at[k] = __fmul_rn(d.at[k], factor);
    }
    gpu::store_pack(d_src, unit, to);
  }
};
struct ToGamma {
  Scales scales;
  float* d_gamma;
  __device__ void put(std::size_t c, Sum sum) const {
    d_gamma[c] = static_cast<float>(sum.sum / sqrt(static_cast<double>(scales.running_var[c]) + scales.epsilon));
  }
};

Scales scales_of(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x) {
  return {static_cast<const float*>(x.gamma), static_cast<const float*>(x.running_var), p.epsilon};
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(batchnorm_fold_fwd_f32)(const BatchNormFoldProblem&) { return nullptr; }
void OCTET_GPU_NAME(batchnorm_fold_fwd_f32)(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x,
                                            const Context& context) {
  const auto count = static_cast<std::size_t>(p.channels * p.inner);
  OCTET_LAUNCH(forward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, scales_of(p, x),
               static_cast<const float*>(x.src), static_cast<float*>(x.dst), count, static_cast<std::size_t>(p.inner));
}

const char* OCTET_GPU_WHY_NOT(batchnorm_fold_bwd_f32)(const BatchNormFoldProblem&) { return nullptr; }
void OCTET_GPU_NAME(batchnorm_fold_bwd_f32)(const BatchNormFoldProblem& p, const BatchNormFoldPointers& x,
                                            const Context& context) {
  const Gradient source{scales_of(p, x), static_cast<const float*>(x.src), static_cast<const float*>(x.d_dst),
                        static_cast<float*>(x.d_src)};
  const auto inner = static_cast<std::size_t>(p.inner);
  fold<Sum>(source, ToGamma{scales_of(p, x), static_cast<float*>(x.d_gamma)}, static_cast<std::size_t>(p.channels),
            inner, gpu::packable(inner, 4, 16, {x.src, x.d_dst, x.d_src}), context.stream);
}

}  // namespace octet::kernels
