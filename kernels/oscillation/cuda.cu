#include "kernels/fake_quant/cuda_fold.h"
#include "kernels/oscillation/weight.h"

namespace octet::kernels {
namespace {

/// Every weight of a channel, and its flips on the way.
struct Weights {
  OscillationProblem p;
  OscillationPointers x;
  template <int kWidth>
  __device__ void add(Sum& flips, std::size_t channel, std::size_t i) const {
    flips.sum += step_of_weight(p, x, Grid(p.lo, p.hi, p.rule), channel, i);
  }
};
struct ToFlips {
  std::int32_t* flips;
  __device__ void put(std::size_t channel, Sum sum) const { flips[channel] += static_cast<std::int32_t>(sum.sum); }
};

__global__ void restore(OscillationPointers x, std::size_t count) { OCTET_GRID_LOOP(i, count) restore_weight(x, i); }

}  // namespace

const char* OCTET_GPU_WHY_NOT(oscillation_step_f32)(const OscillationProblem&) { return nullptr; }
void OCTET_GPU_NAME(oscillation_step_f32)(const OscillationProblem& p, const OscillationPointers& x,
                                          const Context& context) {
  fold<Sum>(Weights{p, x}, ToFlips{x.flips}, static_cast<std::size_t>(p.channels), static_cast<std::size_t>(p.inner),
            false, context.stream);
}

const char* OCTET_GPU_WHY_NOT(oscillation_restore_f32)(const OscillationProblem&) { return nullptr; }
void OCTET_GPU_NAME(oscillation_restore_f32)(const OscillationProblem& p, const OscillationPointers& x,
                                             const Context& context) {
  const auto count = static_cast<std::size_t>(p.channels * p.inner);
  OCTET_LAUNCH(restore, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, x, count);
}

}  // namespace octet::kernels
