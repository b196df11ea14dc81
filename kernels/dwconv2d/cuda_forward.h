// Depthwise windows of any extent on the device, for weights of either layout (cuda_channels3x3.h): 3x3 windows of
// strides 1 and 2 as cuda_windows3x3.h has them, others tap by tap.
#pragma once
#include "kernels/dwconv2d/cuda_windows3x3.h"

namespace octet::kernels {
namespace {

/// An item is a pixel of dst.
template <int V, class Weights>
__global__ void __launch_bounds__(kChannelThreads)
    any_window(PlainReader<V> src, Weights weight, PlainSink<V> sink, WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  sink.start(at.channel, at.channel < m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace out = line_place(item, m.out_h, m.out_w);
    const int top = out.line * m.stride_h - m.pad_h, left = out.at * m.stride_w - m.pad_w;
    const AxisSpan rows = places(out.line, m.stride_h, m.pad_h, m.r, m.h),
                   columns = places(out.at, m.stride_w, m.pad_w, m.s, m.w);
    Channels<V> sum = {};
    for (int y = rows.begin; y < rows.end; ++y)
      for (int x = columns.begin; x < columns.end; ++x) {
        const Channels<V> a = src.at(((static_cast<std::size_t>(out.n) * m.h + y) * m.w + x) * m.c + at.channel);
        const Channels<V> w = load_tap<V>(weight, at.channel, (y - top) * m.s + (x - left), m);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] = __fmaf_rn(a.of[v], w.of[v], sum.of[v]);
      }
    sink.put(static_cast<std::size_t>(item) * m.c + at.channel, at.channel, sum);
  }
}

template <int V, class Weights>
void run_forward_windows(const ConvGeometry& g, const float* from, const Weights& weight, const PlainSink<V>& sink,
                         void* stream) {
  const WindowMap m = window_map(g);
  const PlainReader<V> src{from};
  const int stride = stride3x3(g);
  if (stride == 1) return run_windows3x3<V, Forward3x3<1>>(src, weight, sink, forward_sides(m), m.n, stream);
  if (stride == 2) return run_windows3x3<V, Forward3x3<2>>(src, weight, sink, forward_sides(m), m.n, stream);
  const ChannelGrid grid = channel_grid(g.out_pixels(), g.c, V, kBlocks3x3);
  OCTET_LAUNCH((any_window<V, Weights>), blocks_of(grid), kChannelThreads, stream, src, weight, sink, m, grid);
}

}  // namespace
}  // namespace octet::kernels
