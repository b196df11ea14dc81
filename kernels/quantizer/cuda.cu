#include "core/gpu/dialect.h"
#include "kernels/quantizer/observer_state.h"

namespace octet::kernels {
namespace {

constexpr unsigned kObserveThreads = 256;

/// What `merge` makes of all threads' values, in halves; thread 0 gets it.
template <class T, class Merge>
__device__ T merge_block(T mine, Merge merge) {
  __shared__ T values[kObserveThreads];
  values[threadIdx.x] = mine;
  for (unsigned half = kObserveThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) values[threadIdx.x] = mine = merge(mine, values[threadIdx.x + half]);
  }
  return mine;
}

/// One block: its first thread keeps the state, all of them look through a ring.
__global__ void observe(QuantizerProblem p, QuantizerPointers x) {
  if (threadIdx.x == 0 && (x.range != nullptr || x.top != nullptr)) join_state(p, x);
  float top = 0;
  if (is_ring(p.kind)) {
    __syncthreads();
    for (std::int64_t i = 1 + threadIdx.x; i < p.count; i += kObserveThreads) top = larger(fabsf(x.state[i]), top);
    top = merge_block(top, [](float a, float b) { return larger(b, a); });
  }
  if (threadIdx.x != 0 || x.scale == nullptr) return;
  *x.scale = clipped_scale(p, seen_top(p, x.state, top), x.alpha);
}

__global__ void deferred_range(QuantizerProblem p, QuantizerPointers x) {
  SeenRange range{__int_as_float(0x7f800000), -__int_as_float(0x7f800000)};
  for (std::int64_t c = threadIdx.x; c < p.count; c += kObserveThreads) widen_by_channel(p, x, c, range);
  range = merge_block(range, [](SeenRange a, const SeenRange& b) {
    a.widen(b.low, b.high);
    return a;
  });
  if (threadIdx.x == 0) store_range(range, x.range2);
}

__global__ void grid_scales(QuantizerProblem p, QuantizerPointers x) {
  OCTET_GRID_LOOP(i, static_cast<std::size_t>(p.count)) x.scale[i] = clipped_scale(p, x.top[i], x.alpha);
}

__global__ void at_least(std::size_t count, const float* src, const float* floor, float least, float* dst) {
  OCTET_GRID_LOOP(i, count) {
    const float low = floor != nullptr ? floor[i] : least;
    dst[i] = src[i] < low ? low : src[i];
  }
}

__global__ void scaled(std::size_t count, const float* src, double factor, float* dst) {
  OCTET_GRID_LOOP(i, count) dst[i] = static_cast<float>(static_cast<double>(src[i]) * factor);
}

unsigned blocks(const QuantizerProblem& p) { return gpu::loop_blocks(static_cast<std::size_t>(p.count)); }

}  // namespace

const char* OCTET_GPU_WHY_NOT(observe_f32)(const QuantizerProblem&) { return nullptr; }
void OCTET_GPU_NAME(observe_f32)(const QuantizerProblem& p, const QuantizerPointers& x, const Context& context) {
  OCTET_LAUNCH(observe, 1, kObserveThreads, context.stream, p, x);
}
const char* OCTET_GPU_WHY_NOT(grid_scales_f32)(const QuantizerProblem&) { return nullptr; }
void OCTET_GPU_NAME(grid_scales_f32)(const QuantizerProblem& p, const QuantizerPointers& x, const Context& context) {
  OCTET_LAUNCH(grid_scales, blocks(p), gpu::kLoopThreads, context.stream, p, x);
}
const char* OCTET_GPU_WHY_NOT(deferred_range_f32)(const QuantizerProblem&) { return nullptr; }
void OCTET_GPU_NAME(deferred_range_f32)(const QuantizerProblem& p, const QuantizerPointers& x, const Context& context) {
  OCTET_LAUNCH(deferred_range, 1, kObserveThreads, context.stream, p, x);
}
const char* OCTET_GPU_WHY_NOT(at_least_f32)(const QuantizerProblem&) { return nullptr; }
void OCTET_GPU_NAME(at_least_f32)(const QuantizerProblem& p, const QuantizerPointers& x, const Context& context) {
  OCTET_LAUNCH(at_least, blocks(p), gpu::kLoopThreads, context.stream, static_cast<std::size_t>(p.count),
               static_cast<const float*>(x.src), x.floor, static_cast<float>(p.least), static_cast<float*>(x.dst));
}
const char* OCTET_GPU_WHY_NOT(scaled_f32)(const QuantizerProblem&) { return nullptr; }
void OCTET_GPU_NAME(scaled_f32)(const QuantizerProblem& p, const QuantizerPointers& x, const Context& context) {
  OCTET_LAUNCH(scaled, blocks(p), gpu::kLoopThreads, context.stream, static_cast<std::size_t>(p.count),
               static_cast<const float*>(x.src), p.factor, static_cast<float*>(x.dst));
}

}  // namespace octet::kernels
