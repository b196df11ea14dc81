#include "kernels/fake_quant/cuda_fold.h"
#include "kernels/fake_quant/element.h"

namespace octet::kernels {
namespace {

using gpu::kLoopThreads;
using gpu::load_pack;
using gpu::loop_blocks;
using gpu::Pack;
using gpu::store_pack;

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }
std::size_t rows_of(const FakeQuantProblem& p) { return static_cast<std::size_t>(p.channels); }
std::size_t length_of(const FakeQuantProblem& p) { return static_cast<std::size_t>(p.inner); }
/// Can both these be read four floats at a time?
bool wide(const FakeQuantProblem& p, std::initializer_list<const void*> places) {
  return gpu::packable(length_of(p), 4, 16, places);
}

/// Elements in `units` packs, `row_units` of them in a channel.
template <int kWidth>
__global__ void forward(const float* src, const float* scale, float* dst, Grid grid, std::size_t units,
                        std::size_t row_units) {
  OCTET_GRID_LOOP(unit, units) {
    const float s = scale[row_units == units ? 0 : unit / row_units];
    Pack<float, kWidth> x = load_pack<kWidth>(src, unit);
    for (float& v : x.at) v = value_of(grid, code_of(grid, v, s), s);
    store_pack(dst, unit, x);
  }
}

/// d_src of a pack; returns d_dst.
template <int kWidth>
__device__ __forceinline__ Pack<float, kWidth> pass_gradient(const Pack<float, kWidth>& x, const float* d_dst,
                                                             float* d_src, float s, const Grid& grid,
                                                             std::size_t unit) {
  const Pack<float, kWidth> d = load_pack<kWidth>(d_dst, unit);
  Pack<float, kWidth> passed;
  for (int k = 0; k < kWidth; ++k) passed.at[k] = passed_gradient(grid, x.at[k], s, d.at[k]);
  store_pack(d_src, unit, passed);
  return d;
}

template <int kWidth>
__global__ void backward(const float* src, const float* scale, const float* d_dst, float* d_src, Grid grid,
                         std::size_t units, std::size_t row_units) {
  OCTET_GRID_LOOP(unit, units) {
    const float s = scale[row_units == units ? 0 : unit / row_units];
    pass_gradient(load_pack<kWidth>(src, unit), d_dst, d_src, s, grid, unit);
  }
}

/// The backward pass of a row and the gradient of its scale in one sweep.
struct StepGradient {
  const float *src, *scale, *d_dst;
  float* d_src;
  Grid grid;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t row, std::size_t unit) const {
    const float s = scale[row];
    const Pack<float, kWidth> x = load_pack<kWidth>(src, unit);
    const Pack<float, kWidth> d = pass_gradient(x, d_dst, d_src, s, grid, unit);
    for (int k = 0; k < kWidth; ++k)
      sum.sum = __fma_rn(static_cast<double>(d.at[k]), static_cast<double>(scale_slope(grid, x.at[k], s)), sum.sum);
  }
};
struct StepOut {
  float* d_scale;
  __device__ void put(std::size_t row, Sum sum) const { d_scale[row] = static_cast<float>(sum.sum); }
};

struct ClippedSource {
  const float *src, *scale, *d_dst;
  Grid grid;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t row, std::size_t unit) const {
    const Pack<float, kWidth> x = load_pack<kWidth>(src, unit), d = load_pack<kWidth>(d_dst, unit);
    for (int k = 0; k < kWidth; ++k)
      if (is_clipped(grid, x.at[k], scale[row])) sum.sum += static_cast<double>(d.at[k]);
  }
};

struct TopSource {
  const float* src;
  template <int kWidth>
  __device__ void add(Top& top, std::size_t, std::size_t unit) const {
    const Pack<float, kWidth> x = load_pack<kWidth>(src, unit);
    for (const float v : x.at) top = top.merged(Top::of(v));
  }
};
struct TopOut {
  float* out;
  __device__ void put(std::size_t row, Top top) const { out[row] = top.value(); }
};

struct RangeSource {
  const float* src;
  template <int kWidth>
  __device__ void add(Range& range, std::size_t, std::size_t unit) const {
    const Pack<float, kWidth> x = load_pack<kWidth>(src, unit);
    for (const float v : x.at) range = range.merged({v, v});
  }
};
struct RangeOut {
  float* out;
  __device__ void put(std::size_t row, Range range) const {
    out[2 * row] = range.low + 0.0f;  // a zero has no sign here
    out[2 * row + 1] = range.high + 0.0f;
  }
};

/// A channel for each block: the bits of |x| are ordered as the values, so that their digits, the highest first, lead
/// to the element of a rank.
__global__ void quantile(const float* src, float* out, std::size_t length, std::size_t rank) {
  constexpr unsigned kDigits = 256, kInfinity = 0x7f800000u;
  __shared__ unsigned counts[kDigits];
  __shared__ unsigned found;
  __shared__ std::size_t left;
  const float* row = src + blockIdx.x * length;
  if (threadIdx.x == 0) found = 0, left = rank;
  int lost = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    counts[threadIdx.x] = 0;
    __syncthreads();
    const unsigned known = shift == 24 ? 0u : 0xffffffffu << (shift + 8), wanted = found;
    for (std::size_t i = threadIdx.x; i < length; i += kDigits) {
      const unsigned bits = Top::of(row[i]).bits;
      lost |= static_cast<int>(bits >= kInfinity);
      if ((bits & known) == wanted) atomicAdd(&counts[bits >> shift & (kDigits - 1)], 1u);
    }
    lost = __syncthreads_or(lost);
    if (threadIdx.x == 0) {
      unsigned digit = 0;
      while (left > counts[digit]) left -= counts[digit++];
      found |= digit << shift;
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) out[blockIdx.x] = __int_as_float(static_cast<int>(lost != 0 ? 0x7fc00000u : found));
}

/// The squared errors of a channel under one of its thresholds: row = channel · kMseSteps + threshold.
struct ErrorSource {
  const float *src, *tops;
  std::int32_t hi;
  std::size_t length;
  template <int kWidth>
  __device__ void add(Sum& sum, std::size_t row, std::size_t unit) const {
    const std::size_t channel = row / kMseSteps, units = length / kWidth;
    const float threshold = mse_candidate(tops[channel], static_cast<int>(row % kMseSteps));
    const float step = grid_scale(QuantRule::onnx, threshold, hi);
    for (const float v : load_pack<kWidth>(src, unit - (row - channel) * units).at) {
      const auto e = static_cast<double>(rounding_error(fabsf(v), step, hi));
      sum.sum = __fma_rn(e, e, sum.sum);
    }
  }
};
struct ErrorOut {
  double* sums;
  __device__ void put(std::size_t row, Sum sum) const { sums[row] = sum.sum; }
};
/// Σ|x|, Σx² and max |x| at once.
struct Moments {
  double sizes, squares;
  Top top;
  __device__ static Moments none() { return {0.0, 0.0, Top::none()}; }
  __device__ Moments merged(const Moments& b) const {
    return {sizes + b.sizes, squares + b.squares, top.merged(b.top)};
  }
  __device__ Moments across(int offset) const {
    return {__shfl_xor_sync(gpu::kAllLanes, sizes, offset), __shfl_xor_sync(gpu::kAllLanes, squares, offset),
            top.across(offset)};
  }
};
struct MomentsSource {
  const float* src;
  template <int kWidth>
  __device__ void add(Moments& m, std::size_t, std::size_t unit) const {
    for (const float v : load_pack<kWidth>(src, unit).at) {
      const double size = fabsf(v);
      m.sizes += size, m.squares = __fma_rn(size, size, m.squares), m.top = m.top.merged(Top::of(v));
    }
  }
};
struct SawbOut {
  float* out;
  FakeQuantProblem p;
  __device__ void put(std::size_t row, const Moments& m) const {
    const float top = m.top.value();
    out[row] =
        top < __int_as_float(0x7f800000) ? sawb_threshold(p, m.sizes, m.squares, top) : __int_as_float(0x7fc00000);
  }
};

/// The threshold of least error, in place of the largest value.
__global__ void choose_threshold(const double* sums, float* tops, std::size_t channels) {
  OCTET_GRID_LOOP(c, channels) {
    int best = 0;
    for (int k = 1; k < kMseSteps; ++k)
      if (sums[c * kMseSteps + k] < sums[c * kMseSteps + best]) best = k;
    const bool finite = tops[c] < __int_as_float(0x7f800000);
    tops[c] = finite ? mse_candidate(tops[c], best) : __int_as_float(0x7fc00000);
  }
}

/// A channel for each team: its abs-max, the grid, its elements on the grid.
template <int kWarps, int kWidth>
__global__ void weight_quant(const float* src, float* dst, float* out, std::int8_t* codes, Grid grid, std::size_t rows,
                             std::size_t units) {
  const std::size_t row = team_row<kWarps>(), first = row * units + team_thread<kWarps>(), end = (row + 1) * units;
  if (row >= rows) return;  // a whole warp
  Top top = Top::none();
  const TopSource source{src};
#pragma unroll 4
  for (std::size_t u = first; u < end; u += kWarps * 32) source.template add<kWidth>(top, row, u);
  const float s = grid_scale(grid.rule, fold_team<kWarps>(top).value(), grid.hi);
  if (team_thread<kWarps>() == 0) out[row] = s;
  for (std::size_t u = first; u < end; u += kWarps * 32) {
    Pack<float, kWidth> x = load_pack<kWidth>(src, u);
    Pack<std::int8_t, kWidth> q;
    for (int k = 0; k < kWidth; ++k) {
      const float code = code_of(grid, x.at[k], s);
      x.at[k] = value_of(grid, code, s);
      q.at[k] = static_cast<std::int8_t>(static_cast<int>(code));
    }
    store_pack(dst, u, x);
    if (codes != nullptr) store_pack(codes, u, q);
  }
}

template <int kWidth>
void launch_weight_quant(const FakeQuantProblem& p, const FakeQuantPointers& x, void* stream) {
  const std::size_t rows = rows_of(p), units = length_of(p) / kWidth;
  auto* codes = static_cast<std::int8_t*>(x.codes);
  if (length_of(p) <= kWarpRow)
    OCTET_LAUNCH((weight_quant<1, kWidth>), warp_row_grid(rows), kFoldWarps * 32, stream, floats(x.src), floats(x.dst),
                 floats(x.out), codes, Grid(p), rows, units);
  else
    OCTET_LAUNCH((weight_quant<kFoldWarps, kWidth>), static_cast<unsigned>(rows), kFoldWarps * 32, stream,
                 floats(x.src), floats(x.dst), floats(x.out), codes, Grid(p), rows, units);
}

template <int kWidth>
void launch_forward(const FakeQuantProblem& p, const FakeQuantPointers& x, void* stream) {
  const std::size_t row_units = length_of(p) / kWidth, units = rows_of(p) * row_units;
  OCTET_LAUNCH(forward<kWidth>, loop_blocks(units), kLoopThreads, stream, floats(x.src), x.scale, floats(x.dst),
               Grid(p), units, row_units);
}

template <int kWidth>
void launch_backward(const FakeQuantProblem& p, const FakeQuantPointers& x, void* stream) {
  const std::size_t row_units = length_of(p) / kWidth, units = rows_of(p) * row_units;
  OCTET_LAUNCH(backward<kWidth>, loop_blocks(units), kLoopThreads, stream, floats(x.src), x.scale, floats(x.d_dst),
               floats(x.d_src), Grid(p), units, row_units);
}

/// Channels are blocks of a grid.
const char* too_many_channels(const FakeQuantProblem& p) {
  return p.channels < 1 || p.channels > 0x7fffffff ? "channels outside 1 to 2^31 - 1" : nullptr;
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(fake_quant_fwd_f32)(const FakeQuantProblem&) { return nullptr; }
void OCTET_GPU_NAME(fake_quant_fwd_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  wide(p, {x.src, x.dst}) ? launch_forward<4>(p, x, context.stream) : launch_forward<1>(p, x, context.stream);
}

const char* OCTET_GPU_WHY_NOT(fake_quant_bwd_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(fake_quant_bwd_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  const bool four = wide(p, {x.src, x.d_dst, x.d_src});
  if (x.d_scale == nullptr)
    return four ? launch_backward<4>(p, x, context.stream) : launch_backward<1>(p, x, context.stream);
  const StepGradient source{floats(x.src), x.scale, floats(x.d_dst), floats(x.d_src), Grid(p)};
  fold<Sum>(source, StepOut{floats(x.d_scale)}, rows_of(p), length_of(p), four, context.stream);
}

const char* OCTET_GPU_WHY_NOT(clipped_sum_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(clipped_sum_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  fold<Sum>(ClippedSource{floats(x.src), x.scale, floats(x.d_dst), Grid(p)}, StepOut{floats(x.out)}, rows_of(p),
            length_of(p), wide(p, {x.src, x.d_dst}), context.stream);
}

const char* OCTET_GPU_WHY_NOT(abs_max_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(abs_max_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  fold<Top>(TopSource{floats(x.src)}, TopOut{floats(x.out)}, rows_of(p), length_of(p), wide(p, {x.src}),
            context.stream);
}

const char* OCTET_GPU_WHY_NOT(min_max_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(min_max_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  fold<Range>(RangeSource{floats(x.src)}, RangeOut{floats(x.out)}, rows_of(p), length_of(p), wide(p, {x.src}),
              context.stream);
}

const char* OCTET_GPU_WHY_NOT(quantile_f32)(const FakeQuantProblem& p) {
  if (p.rank < 1 || p.rank > p.inner || p.inner > 0x7fffffff)
    return "a rank outside 1 to inner, or inner beyond 2^31 - 1";
  return too_many_channels(p);
}
void OCTET_GPU_NAME(quantile_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  OCTET_LAUNCH(quantile, static_cast<unsigned>(p.channels), 256u, context.stream, floats(x.src), floats(x.out),
               length_of(p), static_cast<std::size_t>(p.rank));
}

const char* OCTET_GPU_WHY_NOT(mse_top_f32)(const FakeQuantProblem& p) {
  return p.channels > 0x7fffffff / kMseSteps ? "channels beyond 2^24" : too_many_channels(p);
}
void OCTET_GPU_NAME(mse_top_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  const bool four = wide(p, {x.src});
  fold<Top>(TopSource{floats(x.src)}, TopOut{floats(x.out)}, rows_of(p), length_of(p), four, context.stream);
  const std::size_t rows = rows_of(p) * kMseSteps, bytes = rows * sizeof(double);
  auto* sums = static_cast<double*>(gpu::scratch_acquire(bytes));
  fold<Sum>(ErrorSource{floats(x.src), floats(x.out), p.hi, length_of(p)}, ErrorOut{sums}, rows, length_of(p), four,
            context.stream);
  OCTET_LAUNCH(choose_threshold, loop_blocks(rows_of(p)), kLoopThreads, context.stream,
               static_cast<const double*>(sums), floats(x.out), rows_of(p));
  gpu::scratch_release(sums, bytes);
}

const char* OCTET_GPU_WHY_NOT(sawb_top_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(sawb_top_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context& context) {
  fold<Moments>(MomentsSource{floats(x.src)}, SawbOut{floats(x.out), p}, rows_of(p), length_of(p), wide(p, {x.src}),
                context.stream);
}

const char* OCTET_GPU_WHY_NOT(weight_quant_fwd_f32)(const FakeQuantProblem& p) { return too_many_channels(p); }
void OCTET_GPU_NAME(weight_quant_fwd_f32)(const FakeQuantProblem& p, const FakeQuantPointers& x,
                                          const Context& context) {
  const bool four = wide(p, {x.src, x.dst}) && gpu::packable(length_of(p), 4, 4, {x.codes});
  four ? launch_weight_quant<4>(p, x, context.stream) : launch_weight_quant<1>(p, x, context.stream);
}

}  // namespace octet::kernels
