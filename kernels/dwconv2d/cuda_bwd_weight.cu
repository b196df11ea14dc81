// Gradients of depthwise weights and bias on the device: a block adds, in registers, a chunk of the windows for a strip
// of channels; a second kernel adds the chunks. Parts lie as [chunk][tap, behind them the bias][channel].
#include <algorithm>

#include "kernels/cuda_channels.h"
#include "kernels/cuda_windows.h"
#include "kernels/dwconv2d/cuda_channels3x3.h"
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d/windows3x3.h"

namespace octet::kernels {
namespace {

/// Blocks of a launch, two waves of the largest device: each leaves a part to be added.
constexpr unsigned kBlocks = 512;

/// Adds N values of a strip's channels over the rows of the block into part + (i · c + channel), i < N.
template <int V, int N>
__device__ inline void store_part(const Channels<V> (&values)[N], float* shared, float* part, const ChannelGrid& grid,
                                  int c) {
  float flat[N * V];
#pragma unroll
  for (int i = 0; i < N * V; ++i) flat[i] = values[i / V].of[i % V];
  sum_rows(flat, shared, grid.lanes, [&](unsigned i, unsigned lane, float sum) {
    const unsigned channel = (blockIdx.x * grid.lanes + lane) * V + i % V;
    if (channel < static_cast<unsigned>(c))
      part[static_cast<std::size_t>(i / V) * static_cast<unsigned>(c) + channel] = sum;
  });
}

/// Adds the windows of a group of neighbours in a row to the nine taps and to the bias. src points at channels of its
/// picture.
template <int V, int kStride>
__device__ inline void add_group(const float* __restrict__ src, const float* __restrict__ d_row, const LinePlace& group,
                                 const WindowMap& m, Channels<V> (&taps)[9], Channels<V>& bias) {
  using Shape = Forward3x3<kStride>;
  const int first = Shape::first(group.at, m.pad_w);
  Channels<V> d[Shape::kOutputs], x[Shape::kColumns];
  bool given[Shape::kOutputs], inside[Shape::kColumns];
  load_columns(d_row, first, m.out_w, m.c, d, given);
#pragma unroll
  for (int k = 0; k < Shape::kOutputs; ++k) {
#pragma unroll
    for (int v = 0; v < V; ++v) bias.of[v] += d[k].of[v];
  }
#pragma unroll
  for (int r = 0; r < 3; ++r) {
    const int y = Shape::row(group.line, r, m.pad_h);
    if (y < 0 || y >= m.h) continue;
    load_columns(src + static_cast<std::size_t>(y) * m.w * m.c, Shape::left(first, m.pad_w), m.w, m.c, x, inside);
#pragma unroll
    for (int k = 0; k < Shape::kOutputs; ++k) {
#pragma unroll
      for (int s = 0; s < 3; ++s) {
        if (!given[k] || !inside[Shape::column(k, s)]) continue;
#pragma unroll
        for (int v = 0; v < V; ++v)
          taps[r * 3 + s].of[v] = __fmaf_rn(d[k].of[v], x[Shape::column(k, s)].of[v], taps[r * 3 + s].of[v]);
      }
    }
  }
}

template <int V, int kStride>
__global__ void __launch_bounds__(kChannelThreads, 2)
    weights3x3(const float* __restrict__ src, const float* __restrict__ d_dst, float* __restrict__ parts, WindowMap m,
               int groups, ChannelGrid grid) {
  __shared__ float shared[row_sum_size(4 * V)];
  const ChannelPlace at = channel_place<V>(grid, m.c);
  Channels<V> taps[9] = {}, bias = {};
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace group = line_place(item, m.out_h, groups);
    add_group<V, kStride>(
        src + static_cast<std::size_t>(group.n) * m.h * m.w * m.c + at.channel,
        d_dst + (static_cast<std::size_t>(group.n) * m.out_h + group.line) * m.out_w * m.c + at.channel, group, m, taps,
        bias);
  }
  // Three taps at a time, so that shared memory is small and more blocks fit.
  float* part = parts + std::size_t{blockIdx.y} * 10 * static_cast<unsigned>(m.c);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const Channels<V> row[3] = {taps[3 * r], taps[3 * r + 1], taps[3 * r + 2]};
    store_part(row, shared, part + static_cast<std::size_t>(3 * r) * m.c, grid, m.c);
    __syncthreads();
  }
  const Channels<V> rest[4] = {taps[6], taps[7], taps[8], bias};
  store_part(rest, shared, part + static_cast<std::size_t>(6) * m.c, grid, m.c);
}

/// Any window: blockIdx.z is the tap, or r · s for the bias; an item is a pixel of dst.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    any_weights(const float* __restrict__ src, const float* __restrict__ d_dst, float* __restrict__ parts, WindowMap m,
                ChannelGrid grid) {
  __shared__ float shared[row_sum_size(V)];
  const ChannelPlace at = channel_place<V>(grid, m.c);
  const int tap = static_cast<int>(blockIdx.z), r = tap / m.s, s = tap % m.s;
  Channels<V> sum[1] = {};
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace out = line_place(item, m.out_h, m.out_w);
    const int y = out.line * m.stride_h - m.pad_h + r, x = out.at * m.stride_w - m.pad_w + s;
    const float* const gradient = d_dst + static_cast<std::size_t>(item) * m.c + at.channel;
    if (r == m.r) {
      const Channels<V> d = load_channels<V>(gradient);
#pragma unroll
      for (int v = 0; v < V; ++v) sum[0].of[v] += d.of[v];
    } else if (y >= 0 && y < m.h && x >= 0 && x < m.w) {
      const Channels<V> d = load_channels<V>(gradient);
      const Channels<V> z =
          load_channels<V>(src + ((static_cast<std::size_t>(out.n) * m.h + y) * m.w + x) * m.c + at.channel);
#pragma unroll
      for (int v = 0; v < V; ++v) sum[0].of[v] = __fmaf_rn(d.of[v], z.of[v], sum[0].of[v]);
    }
  }
  store_part(sum, shared, parts + (std::size_t{blockIdx.y} * gridDim.z + blockIdx.z) * static_cast<unsigned>(m.c), grid,
             m.c);
}

/// Columns are (tap or bias, channel).
__global__ void __launch_bounds__(kChannelThreads)
    finish_weights(const float* parts, unsigned chunks, unsigned columns, unsigned c, unsigned taps, float* d_weight,
                   float* d_bias) {
  sum_chunks<1>(parts, chunks, columns, [&](unsigned, unsigned column, float sum) {
    const unsigned tap = column / c, channel = column - tap * c;
    if (tap < taps) {
      d_weight[static_cast<std::size_t>(channel) * taps + tap] = sum;
    } else if (d_bias != nullptr) {
      d_bias[channel] = sum;
    }
  });
}

const float* floats(const void* p) { return static_cast<const float*>(p); }

void finish(const float* parts, unsigned chunks, const WindowMap& m, const DwConv2dPointers& io,
            const Context& context) {
  const auto c = static_cast<unsigned>(m.c), taps = static_cast<unsigned>(m.r * m.s);
  OCTET_LAUNCH(finish_weights, column_blocks((taps + 1) * c), kChannelThreads, context.stream, parts, chunks,
               (taps + 1) * c, c, taps, static_cast<float*>(io.d_weight), static_cast<float*>(io.d_bias));
}

template <int V, int kStride>
void run_weights3x3(const WindowMap& m, const DwConv2dPointers& io, const Context& context) {
  const int groups = Forward3x3<kStride>::groups(m.out_w, m.pad_w);
  const ChannelGrid grid = channel_grid(std::int64_t{m.n} * m.out_h * groups, m.c, V, kBlocks);
  const Scratch<float> parts(std::size_t{grid.chunks} * 10 * static_cast<unsigned>(m.c));
  OCTET_LAUNCH((weights3x3<V, kStride>), blocks_of(grid), kChannelThreads, context.stream, floats(io.src),
               floats(io.d_dst), parts.data(), m, groups, grid);
  finish(parts.data(), grid.chunks, m, io, context);
}

template <int V>
void run(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  const WindowMap m = window_map(g);
  const int stride = stride3x3(g);
  if (stride == 1) return run_weights3x3<V, 1>(m, io, context);
  if (stride == 2) return run_weights3x3<V, 2>(m, io, context);
  const auto sums = static_cast<unsigned>(m.r * m.s + 1);
  const ChannelGrid grid = channel_grid(g.out_pixels(), g.c, V, std::max(kBlocks / sums, 16u));
  const Scratch<float> parts(std::size_t{grid.chunks} * sums * static_cast<unsigned>(m.c));
  OCTET_LAUNCH((any_weights<V>), dim3(grid.strips, grid.chunks, sums), kChannelThreads, context.stream, floats(io.src),
               floats(io.d_dst), parts.data(), m, grid);
  finish(parts.data(), grid.chunks, m, io, context);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dwconv2d_bwd_weight_f32)(const DwConv2dProblem& g) {
  if (g.r * g.s > 60000) return "more than 60000 taps";
  if ((g.r * g.s + 1) * g.c > kMostItems) return "more than 2^30 weights";
  return too_large(g);
}
void OCTET_GPU_NAME(dwconv2d_bwd_weight_f32)(const DwConv2dProblem& g, const DwConv2dPointers& io,
                                             const Context& context) {
  by_fours(g.c, {io.src, io.d_dst}) ? run<4>(g, io, context) : run<1>(g, io, context);
}

}  // namespace octet::kernels
