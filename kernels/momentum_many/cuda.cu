#include "kernels/fake_quant/cuda_fold.h"
#include "kernels/fake_quant/element.h"
#include "kernels/momentum/cuda_step.h"
#include "kernels/momentum_many/momentum_many.h"

namespace octet::kernels {
namespace {

constexpr unsigned kThreads = 256;

__device__ __forceinline__ bool aligned(const void* place) { return reinterpret_cast<std::uintptr_t>(place) % 16 == 0; }

/// The rows of a part on their grids, a warp for each, kWidth neighbours a thread.
template <int kWidth>
__device__ void quantize_rows(const MomentumPart& part) {
  FakeQuantProblem problem;
  problem.lo = part.lo, problem.hi = part.hi, problem.rule = part.rule;
  const Grid grid(problem);
  const unsigned lane = threadIdx.x % 32, units = static_cast<unsigned>(part.inner) / kWidth,
                 rows = static_cast<unsigned>(part.count / part.inner);
  for (unsigned row = threadIdx.x / 32; row < rows; row += kThreads / 32) {
    const std::size_t first = std::size_t{row} * units;
    Top top = Top::none();
#pragma unroll 4
    for (unsigned i = lane; i < units; i += 32) {
      const gpu::Pack<float, kWidth> x = gpu::load_pack<kWidth>(part.weight, first + i);
      for (const float v : x.at) top = top.merged(Top::of(v));
    }
    const float scale = grid_scale(part.rule, fold_team<1>(top).value(), part.hi);
    if (lane == 0) part.scale[row] = scale;
#pragma unroll 4
    for (unsigned i = lane; i < units; i += 32) {
      gpu::Pack<float, kWidth> x = gpu::load_pack<kWidth>(part.weight, first + i);
      for (float& v : x.at) v = value_of(grid, code_of(grid, v, scale), scale);
      gpu::store_pack(part.quantized, first + i, x);
    }
  }
}

/// A block for each part: fours of elements where all three lie so, then what is left.
__global__ void momentum_many(const MomentumPart* parts, const double* lr, float mu, bool nesterov) {
  const MomentumPart part = parts[blockIdx.x];
  const MomentumStep step{static_cast<float>(-__dmul_rn(*lr, part.lr_scale)), mu, static_cast<float>(part.weight_decay),
                          nesterov};
  const unsigned count = static_cast<unsigned>(part.count);
  unsigned done = 0;
  if (aligned(part.gradient) && aligned(part.velocity) && aligned(part.weight)) {
    for (unsigned unit = threadIdx.x; unit < count / 4; unit += kThreads)
      momentum_step<4>(part.gradient, part.velocity, part.weight, step, unit);
    done = count / 4 * 4;
  }
  for (unsigned i = done + threadIdx.x; i < count; i += kThreads)
    momentum_step<1>(part.gradient, part.velocity, part.weight, step, i);
  if (part.quantized == nullptr) return;
  __syncthreads();
  part.inner % 4 == 0 && aligned(part.weight) && aligned(part.quantized) ? quantize_rows<4>(part)
                                                                         : quantize_rows<1>(part);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(momentum_many_f32)(const MomentumManyProblem& p) {
  return p.parts > 0x7fffffff ? "more than 2^31 - 1 parts" : nullptr;
}
void OCTET_GPU_NAME(momentum_many_f32)(const MomentumManyProblem& p, const MomentumManyPointers& x,
                                       const Context& context) {
  if (p.parts == 0) return;
  OCTET_LAUNCH(momentum_many, static_cast<unsigned>(p.parts), kThreads, context.stream, x.parts, x.lr,
               static_cast<float>(p.momentum), p.nesterov);
}

}  // namespace octet::kernels
