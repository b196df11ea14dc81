// Pooling on the device, with the bits of the reference. A thread computes V channels of a pixel: of dst forward, of
// d_src backward, where a pixel gathers the windows that cover it.
#include "kernels/cuda_channels.h"
#include "kernels/cuda_windows.h"
#include "kernels/pool/cuda_vector.h"
#include "kernels/pool/pool.h"

namespace octet::kernels {
namespace {

constexpr unsigned kBlocks = 4096;

/// Offset of channel 0 of pixel (y, x) of picture n.
__device__ inline std::size_t offset_of(int n, int y, int x, int height, int width, int c) {
  return ((static_cast<std::size_t>(n) * height + y) * width + x) * c;
}

template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    max_forward(const float* __restrict__ src, float* __restrict__ dst, int* __restrict__ argmax, WindowMap m,
                ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace out = line_place(item, m.out_h, m.out_w);
    const AxisSpan rows = places(out.line, m.stride_h, m.pad_h, m.r, m.h),
                   columns = places(out.at, m.stride_w, m.pad_w, m.s, m.w);
    Channels<V> best = {};
    Channels<V, int> winner;
#pragma unroll
    for (int v = 0; v < V; ++v) winner.of[v] = -1;
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x) {
        const Channels<V> value = load_channels<V>(src + offset_of(out.n, y, x, m.h, m.w, m.c) + at.channel);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const bool wins = winner.of[v] < 0 || (!(value.of[v] <= best.of[v]) && best.of[v] == best.of[v]);
          best.of[v] = wins ? value.of[v] : best.of[v];
          winner.of[v] = wins ? y * m.w + x : winner.of[v];
        }
      }
    }
    store_channels(dst + static_cast<std::size_t>(item) * m.c + at.channel, best);
    store_channels(argmax + static_cast<std::size_t>(item) * m.c + at.channel, winner);
  }
}

template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    avg_forward(const float* __restrict__ src, float* __restrict__ dst, WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace out = line_place(item, m.out_h, m.out_w);
    const AxisSpan rows = places(out.line, m.stride_h, m.pad_h, m.r, m.h),
                   columns = places(out.at, m.stride_w, m.pad_w, m.s, m.w);
    const int count = length(rows) * length(columns);
    Channels<V> sum = {};
    for (int y = rows.begin; y < rows.end; ++y) {
#pragma unroll 4
      for (int x = columns.begin; x < columns.end; ++x) {
        const Channels<V> value = load_channels<V>(src + offset_of(out.n, y, x, m.h, m.w, m.c) + at.channel);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] += value.of[v];
      }
    }
#pragma unroll
    for (int v = 0; v < V; ++v) sum.of[v] = count == 0 ? 0.0f : sum.of[v] / static_cast<float>(count);
    store_channels(dst + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    max_backward(const int* __restrict__ argmax, const float* __restrict__ d_dst, float* __restrict__ d_src,
                 WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace in = line_place(item, m.h, m.w);
    const AxisSpan rows = windows(in.line, m.stride_h, m.pad_h, m.r, m.out_h),
                   columns = windows(in.at, m.stride_w, m.pad_w, m.s, m.out_w);
    const int own = in.line * m.w + in.at;
    Channels<V> sum = {};
    for (int p = rows.begin; p < rows.end; ++p) {
      for (int q = columns.begin; q < columns.end; ++q) {
        const std::size_t offset = offset_of(in.n, p, q, m.out_h, m.out_w, m.c) + at.channel;
        const Channels<V, int> winner = load_channels<V>(argmax + offset);
        const Channels<V> d = load_channels<V>(d_dst + offset);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] = winner.of[v] == own ? sum.of[v] + d.of[v] : sum.of[v];
      }
    }
    store_channels(d_src + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

template <int V>
__global__ void __launch_bounds__(kChannelThreads, 4)
    avg_backward(const float* __restrict__ d_dst, float* __restrict__ d_src, WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace in = line_place(item, m.h, m.w);
    const AxisSpan rows = windows(in.line, m.stride_h, m.pad_h, m.r, m.out_h),
                   columns = windows(in.at, m.stride_w, m.pad_w, m.s, m.out_w);
    Channels<V> sum = {};
    for (int p = rows.begin; p < rows.end; ++p) {
      const int height = length(places(p, m.stride_h, m.pad_h, m.r, m.h));
      for (int q = columns.begin; q < columns.end; ++q) {
        const auto count = static_cast<float>(height * length(places(q, m.stride_w, m.pad_w, m.s, m.w)));
        const Channels<V> d = load_channels<V>(d_dst + offset_of(in.n, p, q, m.out_h, m.out_w, m.c) + at.channel);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] += d.of[v] / count;
      }
    }
    store_channels(d_src + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

}  // namespace

/// A row: `items` pixels of its result, read by fours where all pointers allow it.
#define OCTET_POOL_ROW(pass, kernel, items, aligned, ...)                                                \
  const char* OCTET_GPU_WHY_NOT(pass##_f32)(const PoolProblem& g) { return too_large(g); }               \
  void OCTET_GPU_NAME(pass##_f32)(const PoolProblem& g, const PoolPointers& x, const Context& context) { \
    const WindowMap m = window_map(g);                                                                   \
    const int vector = (aligned) ? pool_vector(items, g.c, g.r * g.s) : 1;                               \
    const ChannelGrid grid = channel_grid(items, g.c, vector, kBlocks);                                  \
    if (vector == 4) {                                                                                   \
      OCTET_LAUNCH((kernel<4>), blocks_of(grid), kChannelThreads, context.stream, __VA_ARGS__, m, grid); \
    } else {                                                                                             \
      OCTET_LAUNCH((kernel<1>), blocks_of(grid), kChannelThreads, context.stream, __VA_ARGS__, m, grid); \
    }                                                                                                    \
  }
OCTET_POOL_ROW(max_pool_fwd, max_forward, g.out_pixels(), by_fours(g.c, {x.src, x.dst, x.argmax}), floats(x.src),
               floats(x.dst), x.argmax)
OCTET_POOL_ROW(avg_pool_fwd, avg_forward, g.out_pixels(), by_fours(g.c, {x.src, x.dst}), floats(x.src), floats(x.dst))
OCTET_POOL_ROW(max_pool_bwd, max_backward, g.n* g.h* g.w, by_fours(g.c, {x.argmax, x.d_dst, x.d_src}), x.argmax,
               floats(x.d_dst), floats(x.d_src))
OCTET_POOL_ROW(avg_pool_bwd, avg_backward, g.n* g.h* g.w, by_fours(g.c, {x.d_dst, x.d_src}), floats(x.d_dst),
               floats(x.d_src))
#undef OCTET_POOL_ROW

}  // namespace octet::kernels
