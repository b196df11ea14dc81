// Batch normalisation on the device. Sums over pixels: a block adds a chunk of pixels for a strip of channels in
// double, a second kernel adds the chunks.
#include "kernels/activation.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/cuda_channels.h"
#include "kernels/moments.h"

namespace octet::kernels {
namespace {

/// Blocks of the passes that sum, and of the one that does not.
constexpr unsigned kSumBlocks = 1024, kMapBlocks = 4096;

/// Sums of a strip's channels over a chunk: parts[chunk][which][channel], sums[which · V + v] of each thread.
template <int V>
__device__ inline void store_sums(const double (&sums)[2 * V], double* parts, const ChannelGrid& grid, int c) {
  __shared__ double shared[row_sum_size(2 * V)];
  sum_rows(sums, shared, grid.lanes, [&](unsigned i, unsigned lane, double sum) {
    const unsigned channel = (blockIdx.x * grid.lanes + lane) * V + i % V;
    if (channel < static_cast<unsigned>(c))
      parts[(std::size_t{blockIdx.y} * 2 + i / V) * static_cast<unsigned>(c) + channel] = sum;
  });
}

/// Σ z and Σ z² of a chunk.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    statistics(const float* __restrict__ src, double* parts, ChannelGrid grid, int c) {
  const ChannelPlace at = channel_place<V>(grid, c);
  double sums[2 * V] = {};
  for_items<4>(at, [&](auto number, int pixel) {
    Channels<V> z[number()];
    load_pixels(src, at, pixel, c, z);
#pragma unroll
    for (int i = 0; i < number(); ++i) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const double x = z[i].of[v];
        sums[v] += x;
        sums[V + v] = __fma_rn(x, x, sums[V + v]);
      }
    }
  });
  store_sums<V>(sums, parts, grid, c);
}

__global__ void __launch_bounds__(kChannelThreads)
    finish_statistics(const double* parts, unsigned chunks, unsigned c, double pixels, float* mean_of,
                      float* variance_of) {
  __shared__ double sums[2][kColumnLanes];
  const unsigned first = blockIdx.x * kColumnLanes;
  sum_chunks<2>(parts, chunks, c,
                [&](unsigned which, unsigned channel, double sum) { sums[which][channel - first] = sum; });
  __syncthreads();
  const unsigned channel = first + threadIdx.x;
  if (threadIdx.x >= kColumnLanes || channel >= c) return;
  moments_of(sums[0][threadIdx.x], sums[1][threadIdx.x], pixels, mean_of[channel], variance_of[channel]);
}

/// dst may be src.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    affine_forward(const float* src, const float* __restrict__ scale_of, const float* __restrict__ shift_of, float* dst,
                   Activation act, ChannelGrid grid, int c) {
  const ChannelPlace at = channel_place<V>(grid, c);
  if (at.begin >= at.end) return;
  const Channels<V> scale = load_channels<V>(scale_of + at.channel), shift = load_channels<V>(shift_of + at.channel);
  map_pixels<V>(src, dst, at, c, [&](int v, float z) { return activate(__fmaf_rn(z, scale.of[v], shift.of[v]), act); });
}

/// d_src, and Σ g · src and Σ g of a chunk. d_src may be d_dst.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    affine_backward(const float* __restrict__ src, const float* __restrict__ scale_of,
                    const float* __restrict__ shift_of, const float* d_dst, float* d_src, double* parts, Activation act,
                    ChannelGrid grid, int c) {
  const ChannelPlace at = channel_place<V>(grid, c);
  double sums[2 * V] = {};
  Channels<V> scale = {}, shift = {};
  if (at.channel < c) scale = load_channels<V>(scale_of + at.channel), shift = load_channels<V>(shift_of + at.channel);
  for_items<2>(at, [&](auto number, int pixel) {
    Channels<V> x[number()], g[number()];
    load_pixels(src, at, pixel, c, x);
    load_pixels(d_dst, at, pixel, c, g);
#pragma unroll
    for (int i = 0; i < number(); ++i) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float z = x[i].of[v];
        const float gradient = passes(__fmaf_rn(z, scale.of[v], shift.of[v]), act) ? g[i].of[v] : 0.0f;
        sums[v] = __fma_rn(static_cast<double>(gradient), static_cast<double>(z), sums[v]);
        sums[V + v] += static_cast<double>(gradient);
        g[i].of[v] = gradient * scale.of[v];
      }
      store_channels<V>(d_src + static_cast<std::size_t>(pixel + i * at.step) * c + at.channel, g[i]);
    }
  });
  store_sums<V>(sums, parts, grid, c);
}

__global__ void __launch_bounds__(kChannelThreads)
    finish_affine(const double* parts, unsigned chunks, unsigned c, float* d_scale, float* d_shift) {
  sum_chunks<2>(parts, chunks, c, [&](unsigned which, unsigned channel, double sum) {
    (which == 0 ? d_scale : d_shift)[channel] = static_cast<float>(sum);
  });
}

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

template <int V>
void run_stats(const BatchNormProblem& p, const BatchNormPointers& x, const Context& context) {
  const ChannelGrid grid = channel_grid(p.pixels, p.c, V, kSumBlocks);
  const auto c = static_cast<unsigned>(p.c);
  const Scratch<double> parts(std::size_t{grid.chunks} * 2 * c);
  OCTET_LAUNCH((statistics<V>), blocks_of(grid), kChannelThreads, context.stream, floats(x.src), parts.data(), grid,
               static_cast<int>(c));
  OCTET_LAUNCH(finish_statistics, column_blocks(c), kChannelThreads, context.stream, parts.data(), grid.chunks, c,
               static_cast<double>(p.pixels), floats(x.mean), floats(x.variance));
}

template <int V>
void run_affine_forward(const BatchNormProblem& p, const BatchNormPointers& x, const Context& context) {
  const ChannelGrid grid = channel_grid(p.pixels, p.c, V, kMapBlocks);
  OCTET_LAUNCH((affine_forward<V>), blocks_of(grid), kChannelThreads, context.stream, floats(x.src), floats(x.scale),
               floats(x.shift), floats(x.dst), p.act, grid, static_cast<int>(p.c));
}

template <int V>
void run_affine_backward(const BatchNormProblem& p, const BatchNormPointers& x, const Context& context) {
  const ChannelGrid grid = channel_grid(p.pixels, p.c, V, kSumBlocks);
  const auto c = static_cast<unsigned>(p.c);
  const Scratch<double> parts(std::size_t{grid.chunks} * 2 * c);
  OCTET_LAUNCH((affine_backward<V>), blocks_of(grid), kChannelThreads, context.stream, floats(x.src), floats(x.scale),
               floats(x.shift), floats(x.d_dst), floats(x.d_src), parts.data(), p.act, grid, static_cast<int>(c));
  OCTET_LAUNCH(finish_affine, column_blocks(c), kChannelThreads, context.stream, parts.data(), grid.chunks, c,
               floats(x.d_scale), floats(x.d_shift));
}

const char* refusal(const BatchNormProblem& p) {
  return p.pixels <= kMostItems && p.c <= kMostItems ? nullptr : "more than 2^30 pixels or channels";
}

}  // namespace

#define OCTET_BATCHNORM_ROW(pass, run, ...)                                                                        \
  const char* OCTET_GPU_WHY_NOT(pass##_f32)(const BatchNormProblem& p) { return refusal(p); }                      \
  void OCTET_GPU_NAME(pass##_f32)(const BatchNormProblem& p, const BatchNormPointers& x, const Context& context) { \
    by_fours(p.c, {__VA_ARGS__}) ? run<4>(p, x, context) : run<1>(p, x, context);                                  \
  }
OCTET_BATCHNORM_ROW(batchnorm_stats, run_stats, x.src)
OCTET_BATCHNORM_ROW(affine_act_fwd, run_affine_forward, x.src, x.scale, x.shift, x.dst)
OCTET_BATCHNORM_ROW(affine_act_bwd, run_affine_backward, x.src, x.scale, x.shift, x.d_dst, x.d_src)
#undef OCTET_BATCHNORM_ROW

}  // namespace octet::kernels
