// Gradients of depthwise 3x3 weights and bias on the device: a block adds, in registers, a chunk of the windows for a
// strip of channels; a second kernel adds the chunks. Parts lie as [chunk][tap, behind them the bias][channel].
#pragma once
#include "kernels/cuda_windows.h"
#include "kernels/dwconv2d/cuda_readers.h"
#include "kernels/dwconv2d/windows3x3.h"

namespace octet::kernels {
namespace {

/// Blocks of a launch, two waves of the largest device: each leaves a part to be added.
constexpr unsigned kWeightBlocks = 512;

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

/// Adds the windows of a group of neighbours in a row to the nine taps and to the bias. The source's picture begins at
/// element `picture`, the row of d at `d_row`.
template <int V, int kStride, class Source, class Gradient>
__device__ inline void add_group(const Source& src, const Gradient& d_dst, std::size_t picture, std::size_t d_row,
                                 const LinePlace& group, const WindowMap& m, Channels<V> (&taps)[9],
                                 Channels<V>& bias) {
  using Shape = Forward3x3<kStride>;
  const int first = Shape::first(group.at, m.pad_w);
  Channels<V> d[Shape::kOutputs], x[Shape::kColumns];
  bool given[Shape::kOutputs], inside[Shape::kColumns];
  load_columns(d_dst, d_row, first, m.out_w, m.c, d, given);
#pragma unroll
  for (int k = 0; k < Shape::kOutputs; ++k) {
#pragma unroll
    for (int v = 0; v < V; ++v) bias.of[v] += d[k].of[v];
  }
#pragma unroll
  for (int r = 0; r < 3; ++r) {
    const int y = Shape::row(group.line, r, m.pad_h);
    if (y < 0 || y >= m.h) continue;
    load_columns(src, picture + static_cast<std::size_t>(y) * m.w * m.c, Shape::left(first, m.pad_w), m.w, m.c, x,
                 inside);
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

template <int V, int kStride, class Source, class Gradient>
__global__ void __launch_bounds__(kChannelThreads, 2)
    weights3x3(Source src, Gradient d_dst, float* __restrict__ parts, WindowMap m, int groups, ChannelGrid grid) {
  __shared__ float shared[row_sum_size(4 * V)];
  const ChannelPlace at = channel_place<V>(grid, m.c);
  src.start(at.channel, at.channel < m.c);
  d_dst.start(at.channel, at.channel < m.c);
  Channels<V> taps[9] = {}, bias = {};
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace group = line_place(item, m.out_h, groups);
    add_group<V, kStride>(src, d_dst, static_cast<std::size_t>(group.n) * m.h * m.w * m.c + at.channel,
                          (static_cast<std::size_t>(group.n) * m.out_h + group.line) * m.out_w * m.c + at.channel,
                          group, m, taps, bias);
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

inline void finish_weight_parts(const float* parts, unsigned chunks, const WindowMap& m, float* d_weight, float* d_bias,
                                void* stream) {
  const auto c = static_cast<unsigned>(m.c), taps = static_cast<unsigned>(m.r * m.s);
  OCTET_LAUNCH(finish_weights, column_blocks((taps + 1) * c), kChannelThreads, stream, parts, chunks, (taps + 1) * c, c,
               taps, d_weight, d_bias);
}

/// Readers of cuda_readers.h; d_bias may be null.
template <int V, int kStride, class Source, class Gradient>
void run_weights3x3(const Source& src, const Gradient& d_dst, const WindowMap& m, float* d_weight, float* d_bias,
                    void* stream) {
  const int groups = Forward3x3<kStride>::groups(m.out_w, m.pad_w);
  const ChannelGrid grid = channel_grid(std::int64_t{m.n} * m.out_h * groups, m.c, V, kWeightBlocks);
  const Scratch<float> parts(std::size_t{grid.chunks} * 10 * static_cast<unsigned>(m.c));
  OCTET_LAUNCH((weights3x3<V, kStride, Source, Gradient>), blocks_of(grid), kChannelThreads, stream, src, d_dst,
               parts.data(), m, groups, grid);
  finish_weight_parts(parts.data(), grid.chunks, m, d_weight, d_bias, stream);
}

}  // namespace
}  // namespace octet::kernels
