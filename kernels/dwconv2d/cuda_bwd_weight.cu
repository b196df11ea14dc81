// Gradients of depthwise weights and bias on the device: 3x3 windows as cuda_weights3x3.h has them, others tap by tap.
#include <algorithm>

#include "kernels/dwconv2d/cuda_weights3x3.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {
namespace {

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

const float* floats(const void* p) { return static_cast<const float*>(p); }

template <int V>
void run(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  const WindowMap m = window_map(g);
  const int stride = stride3x3(g);
  const PlainReader<V> src{floats(io.src)}, d_dst{floats(io.d_dst)};
  float *d_weight = static_cast<float*>(io.d_weight), *d_bias = static_cast<float*>(io.d_bias);
  if (stride == 1) return run_weights3x3<V, 1>(src, d_dst, m, d_weight, d_bias, context.stream);
  if (stride == 2) return run_weights3x3<V, 2>(src, d_dst, m, d_weight, d_bias, context.stream);
  const auto sums = static_cast<unsigned>(m.r * m.s + 1);
  const ChannelGrid grid = channel_grid(g.out_pixels(), g.c, V, std::max(kWeightBlocks / sums, 16u));
  const Scratch<float> parts(std::size_t{grid.chunks} * sums * static_cast<unsigned>(m.c));
  OCTET_LAUNCH((any_weights<V>), dim3(grid.strips, grid.chunks, sums), kChannelThreads, context.stream, floats(io.src),
               floats(io.d_dst), parts.data(), m, grid);
  finish_weight_parts(parts.data(), grid.chunks, m, d_weight, d_bias, context.stream);
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
