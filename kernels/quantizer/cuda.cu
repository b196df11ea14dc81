#include "core/gpu/dialect.h"
#include "kernels/quantizer/observer_state.h"

namespace octet::kernels {
namespace {

constexpr unsigned kObserveThreads = 256;

/// One block: its first thread keeps the state, all of them look through a ring.
__global__ void observe(QuantizerProblem p, QuantizerPointers x) {
  __shared__ float tops[kObserveThreads];
  if (threadIdx.x == 0 && (x.range != nullptr || x.top != nullptr)) join_state(p, x);
  __syncthreads();
  float top = 0;
  if (p.kind == ObserverKind::range_abs_max)
    for (std::int64_t i = 1 + threadIdx.x; i < p.count; i += kObserveThreads) top = larger(x.state[i], top);
  tops[threadIdx.x] = top;
  __syncthreads();
  if (threadIdx.x != 0 || x.scale == nullptr) return;
  for (unsigned i = 1; i < kObserveThreads; ++i) top = larger(tops[i], top);
  *x.scale = clipped_scale(p, seen_top(p, x.state, top), x.alpha);
}

__global__ void deferred_range(QuantizerProblem p, QuantizerPointers x) {
  __shared__ SeenRange ranges[kObserveThreads];
  SeenRange range{__int_as_float(0x7f800000), -__int_as_float(0x7f800000)};
  for (std::int64_t c = threadIdx.x; c < p.count; c += kObserveThreads) widen_by_channel(p, x, c, range);
  ranges[threadIdx.x] = range;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned i = 1; i < kObserveThreads; ++i) range.widen(ranges[i].low, ranges[i].high);
  store_range(range, x.range2);
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
