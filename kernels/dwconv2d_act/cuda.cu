#include "kernels/dwconv2d/cuda_windows3x3.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"

namespace octet::kernels {
namespace {

/// Any window; an item is a pixel of dst.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    any_window(PlainReader<V> src, const float* __restrict__ weight, PlainSink<V> sink, WindowMap m, ChannelGrid grid) {
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
        const Channels<V> w =
            load_channels<V>(weight + static_cast<std::size_t>((y - top) * m.s + (x - left)) * m.c + at.channel);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] = __fmaf_rn(a.of[v], w.of[v], sum.of[v]);
      }
    sink.put(static_cast<std::size_t>(item) * m.c + at.channel, at.channel, sum);
  }
}

template <int V>
void run(const DwConv2dActProblem& p, const DwConv2dActPointers& io, void* stream) {
  const ConvGeometry& g = p.geometry;
  const WindowMap m = window_map(g);
  const PlainReader<V> src{io.src};
  const PlainSink<V> sink(io.dst, io.bias, p.act);
  const TapMajor weight{io.weight};
  const int stride = stride3x3(g);
  if (stride == 1) return run_windows3x3<V, Forward3x3<1>>(src, weight, sink, forward_sides(m), m.n, stream);
  if (stride == 2) return run_windows3x3<V, Forward3x3<2>>(src, weight, sink, forward_sides(m), m.n, stream);
  const ChannelGrid grid = channel_grid(g.out_pixels(), g.c, V, kBlocks3x3);
  OCTET_LAUNCH((any_window<V>), blocks_of(grid), kChannelThreads, stream, src, io.weight, sink, m, grid);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dwconv2d_act_fwd_f32)(const DwConv2dActProblem& p) { return too_large(p.geometry); }
void OCTET_GPU_NAME(dwconv2d_act_fwd_f32)(const DwConv2dActProblem& p, const DwConv2dActPointers& io,
                                          const Context& context) {
  if (p.geometry.out_pixels() == 0) return;
  by_fours(p.geometry.c, {io.src, io.weight, io.bias, io.dst}) ? run<4>(p, io, context.stream)
                                                               : run<1>(p, io, context.stream);
}

}  // namespace octet::kernels
