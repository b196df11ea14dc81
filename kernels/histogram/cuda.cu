#include "core/gpu/dialect.h"
#include "core/gpu/gpu.h"
#include "kernels/histogram/element.h"

namespace octet::kernels {
namespace {

constexpr unsigned kThreads = 256, kWarps = kThreads / 32, kAddBlocks = 512;
constexpr int kMostCounts = 2 * kBins, kPlaces = kCounts + kMostCounts,
              kSteps = kMostCounts / static_cast<int>(kThreads);

/// One block: the counts decay, then merge or split.
__global__ void fit(float* state, const float* top, int sides, double decay) {
  const int thread = static_cast<int>(threadIdx.x), counts = sides * kBins;
  const bool lost = !is_finite(*top) || !is_width(state[kWidth]);
  const int had = lost ? 0 : static_cast<int>(state[kWidth]), wanted = lost ? 0 : width_for(*top);
  int upper_half = 0;
  for (int i = thread; i < counts && !lost; i += static_cast<int>(kThreads)) {
    state[kCounts + i] = decayed(state[kCounts + i], decay);
    upper_half |= static_cast<int>(i % kBins >= kBins / 2 && state[kCounts + i] > 0);
  }
  upper_half = __syncthreads_or(upper_half);
  const bool splits = wanted < had && decay < 1 && upper_half == 0;
  const bool changes = !lost && (wanted > had || splits);
  float made[kSteps];
  for (int k = 0; k < kSteps; ++k) {
    const int i = thread + k * static_cast<int>(kThreads);
    if (!changes || i >= counts) continue;
    const float* side = state + kCounts + i / kBins * kBins;
    made[k] = splits ? side[i % kBins / 2] / 2 : merged(side, i % kBins, wanted - had);
  }
  __syncthreads();
  for (int k = 0; k < kSteps; ++k) {
    const int i = thread + k * static_cast<int>(kThreads);
    if (changes && i < counts) state[kCounts + i] = made[k];
  }
  if (thread != 0) return;
  if (lost) state[kWidth] = __int_as_float(0x7fc00000);
  if (!lost) state[kZeros] = decayed(state[kZeros], decay);
  if (changes) state[kWidth] = static_cast<float>(splits ? had - 1 : wanted);
}

/// Each block counts by itself; integers add up alike in any order.
__global__ void count(const float* state, const float* src, std::size_t values, int sides, unsigned* fresh) {
  __shared__ unsigned own[kPlaces];
  const int places = kCounts + sides * kBins;
  const bool lost = !is_width(state[kWidth]);
  for (int i = static_cast<int>(threadIdx.x); i < places; i += static_cast<int>(kThreads)) own[i] = 0;
  __syncthreads();
  const float bins_per_unit = lost ? 0 : per_width(state[kWidth]);
  OCTET_GRID_LOOP(i, lost ? 0 : values) atomicAdd(&own[place_of(src[i], bins_per_unit, sides)], 1u);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < places; i += static_cast<int>(kThreads))
    if (own[i] != 0) atomicAdd(&fresh[i], own[i]);
}
__global__ void join(float* state, const unsigned* fresh, std::size_t places) {
  OCTET_GRID_LOOP(i, places)
  if (i >= kZeros && is_width(state[kWidth])) state[i] = static_cast<float>(static_cast<double>(state[i]) + fresh[i]);
}

/// What a search keeps: sums over the bins before each bin, bins in use on both sides, the cost of each threshold.
struct Found {
  double count[kBins + 1], log_count[kBins + 1], cost[kBins];
  int filled[kBins + 1], used[2];
  __device__ BinSums bins() const { return {count, log_count, filled}; }
};

/// One block: shares and sums run over the bins in order, so that they are a thread's, in shared memory.
__global__ void prepare(float* state, int sides, HistogramRule rule, double share, Found* found) {
  __shared__ float counts[kMostCounts];
  __shared__ double logs[kBins];
  for (int i = static_cast<int>(threadIdx.x); i < sides * kBins; i += static_cast<int>(kThreads)) {
    counts[i] = state[kCounts + i];
    if (rule == HistogramRule::kl) logs[i] = log_times(counts[i]);
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int side = 0; side < sides; ++side) found->used[side] = bins_in_use(counts + side * kBins);
  const float width = is_width(state[kWidth]) ? width_of(state[kWidth]) : __int_as_float(0x7fc00000);
  state[kHigh] = static_cast<float>(found->used[0]) * width;
  state[kLow] = sides == 1 ? -state[kHigh] : -static_cast<float>(found->used[1]) * width;
  if (rule == HistogramRule::percentile) {
    const double zeros = state[kZeros], before = zeros + (sides == 2 ? sum_of(counts + kBins) : 0);
    state[kHigh] = static_cast<float>(percentile_edge(counts, before, share)) * width;
    state[kLow] = sides == 1
                      ? -state[kHigh]
                      : -static_cast<float>(percentile_edge(counts + kBins, zeros + sum_of(counts), share)) * width;
  }
  if (rule != HistogramRule::kl) return;
  found->count[0] = found->log_count[0] = 0, found->filled[0] = 0;
  double sum = 0, log_sum = 0;
  for (int i = 0, filled = 0; i < kBins; ++i) {
    found->count[i + 1] = sum = sum + static_cast<double>(counts[i]);
    found->log_count[i + 1] = log_sum = log_sum + logs[i];
    found->filled[i + 1] = filled += counts[i] > 0 ? 1 : 0;
  }
}

/// A threshold of side `moving` (0: high, 1: low) for each warp.
__global__ void try_thresholds(const float* state, HistogramProblem p, int moving, Found* found) {
  const int k = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
  const int used = found->used[moving];
  if (!is_width(state[kWidth]) || k >= candidates(p.rule, p.hi, used)) return;  // a whole warp
  double sum = 0;
  if (p.rule == HistogramRule::kl) {
    const double logs = gpu::warp_sum(group_logs(found->bins(), p.hi + 1, used - k, lane));
    sum = used > p.hi ? divergence(found->bins(), state + kCounts, p.hi + 1, used - k, logs) : 0;
  } else {
    const float edge = candidate(p.rule, used, width_of(state[kWidth]), k);
    const float low = moving == 1 ? -edge : p.sides == 1 ? 0 : state[kLow], high = moving == 0 ? edge : state[kHigh];
    sum = gpu::warp_sum(squared_errors(state, p.sides, low, high, p.hi, lane));
  }
  if (lane == 0) found->cost[k] = sum;
}

/// One block: the first of the least costs.
__global__ void choose(float* state, HistogramProblem p, int moving, const Found* found) {
  __shared__ int best[kThreads];
  if (!is_width(state[kWidth])) return;  // all threads
  const int tried = candidates(p.rule, p.hi, found->used[moving]), thread = static_cast<int>(threadIdx.x);
  const auto better = [&](int a, int b) {
    return found->cost[a] < found->cost[b] || (found->cost[a] == found->cost[b] && a < b);
  };
  int own = thread < tried ? thread : 0;
  for (int k = thread; k < tried; k += static_cast<int>(kThreads))
    if (better(k, own)) own = k;
  best[thread] = own;
  __syncthreads();
  if (thread != 0) return;
  for (unsigned i = 1; i < kThreads; ++i)
    if (better(best[i], own)) own = best[i];
  const float edge = candidate(p.rule, found->used[moving], width_of(state[kWidth]), own);
  if (moving == 0) state[kHigh] = edge;
  if (moving == 1 || p.sides == 1) state[kLow] = -edge;
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(histogram_fit_f32)(const HistogramProblem&) { return nullptr; }
void OCTET_GPU_NAME(histogram_fit_f32)(const HistogramProblem& p, const HistogramPointers& x, const Context& context) {
  OCTET_LAUNCH(fit, 1u, kThreads, context.stream, x.state, x.top, p.sides, p.decay);
}

const char* OCTET_GPU_WHY_NOT(histogram_add_f32)(const HistogramProblem& p) {
  return p.count > 0xffffffff ? "2^32 values or more" : nullptr;
}
void OCTET_GPU_NAME(histogram_add_f32)(const HistogramProblem& p, const HistogramPointers& x, const Context& context) {
  const auto places = static_cast<std::size_t>(histogram_size(p.sides)), values = static_cast<std::size_t>(p.count);
  auto* fresh = static_cast<unsigned*>(gpu::scratch_acquire(places * sizeof(unsigned)));
  gpu::zero(fresh, places * sizeof(unsigned));
  const unsigned blocks = gpu::loop_blocks(values);
  OCTET_LAUNCH(count, blocks < kAddBlocks ? blocks : kAddBlocks, kThreads, context.stream,
               static_cast<const float*>(x.state), x.src, values, p.sides, fresh);
  OCTET_LAUNCH(join, gpu::loop_blocks(places), gpu::kLoopThreads, context.stream, x.state,
               static_cast<const unsigned*>(fresh), places);
  gpu::scratch_release(fresh, places * sizeof(unsigned));
}

const char* OCTET_GPU_WHY_NOT(histogram_search_f32)(const HistogramProblem& p) {
  if (p.rule == HistogramRule::kl && p.sides != 1) return "a divergence of two sides";
  return p.hi < 1 || p.hi >= kBins ? "hi outside 1 to 2047" : nullptr;
}
void OCTET_GPU_NAME(histogram_search_f32)(const HistogramProblem& p, const HistogramPointers& x,
                                          const Context& context) {
  auto* found = static_cast<Found*>(gpu::scratch_acquire(sizeof(Found)));
  OCTET_LAUNCH(prepare, 1u, kThreads, context.stream, x.state, p.sides, p.rule, p.share, found);
  const auto most = static_cast<unsigned>(candidates(p.rule, p.hi, kBins));
  const int turns = p.rule == HistogramRule::percentile ? 0 : p.sides == 2 ? 4 : 1;
  for (int turn = 0; turn < turns; ++turn) {
    OCTET_LAUNCH(try_thresholds, (most + kWarps - 1) / kWarps, kThreads, context.stream,
                 static_cast<const float*>(x.state), p, turn % 2, found);
    OCTET_LAUNCH(choose, 1u, kThreads, context.stream, x.state, p, turn % 2, static_cast<const Found*>(found));
  }
  gpu::scratch_release(found, sizeof(Found));
}

}  // namespace octet::kernels
