#include "kernels/fake_quant/cuda_fold.h"
#include "kernels/grid_distance/element.h"

namespace octet::kernels {
namespace {

/// All elements as one row.
struct Squares {
  GridDistanceProblem p;
  const float *src, *scale;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t, std::size_t i) const {
    const double d = distance(Grid(p.lo, p.hi, p.rule), src[i], scale[i / static_cast<std::size_t>(p.inner)]);
    sum.sum += d * d;
  }
};
struct ToSum {
  float* sum;
  __device__ void put(std::size_t, Sum all) const { *sum = static_cast<float>(all.sum); }
};

__global__ void backward(GridDistanceProblem p, const float* src, const float* scale, const float* d_sum,
                         float* d_src) {
  const float twice = __fmul_rn(2.0f, *d_sum);
  OCTET_GRID_LOOP(i, static_cast<std::size_t>(p.channels * p.inner))
  d_src[i] = __fmul_rn(twice, distance(Grid(p.lo, p.hi, p.rule), src[i], scale[i / static_cast<std::size_t>(p.inner)]));
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(grid_distance_fwd_f32)(const GridDistanceProblem&) { return nullptr; }
void OCTET_GPU_NAME(grid_distance_fwd_f32)(const GridDistanceProblem& p, const GridDistancePointers& x,
                                           const Context& context) {
  fold<Sum>(Squares{p, static_cast<const float*>(x.src), x.scale}, ToSum{static_cast<float*>(x.sum)}, 1,
            static_cast<std::size_t>(p.channels * p.inner), false, context.stream);
}

const char* OCTET_GPU_WHY_NOT(grid_distance_bwd_f32)(const GridDistanceProblem&) { return nullptr; }
void OCTET_GPU_NAME(grid_distance_bwd_f32)(const GridDistanceProblem& p, const GridDistancePointers& x,
                                           const Context& context) {
  const auto count = static_cast<std::size_t>(p.channels * p.inner);
  OCTET_LAUNCH(backward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, p,
               static_cast<const float*>(x.src), x.scale, static_cast<const float*>(x.d_sum),
               static_cast<float*>(x.d_src));
}

}  // namespace octet::kernels
