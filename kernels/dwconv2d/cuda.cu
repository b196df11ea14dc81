// Depthwise convolution on the device, forward and the gradient of its source, with the bits of the reference: taps in
// (r,s) order by FMA from zero, those outside skipped. 3x3 windows of strides 1 and 2 keep their columns in registers;
// others go tap by tap.
#include "kernels/dwconv2d/cuda_forward.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {
namespace {

/// Any window; an item is a pixel of d_src.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    any_backward(const float* __restrict__ d_dst, const float* __restrict__ weight, float* __restrict__ d_src,
                 WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace in = line_place(item, m.h, m.w);
    const AxisSpan rows = windows(in.line, m.stride_h, m.pad_h, m.r, m.out_h),
                   columns = windows(in.at, m.stride_w, m.pad_w, m.s, m.out_w);
    Channels<V> sum = {};
    // Taps ascend where windows descend.
    for (int p = rows.end - 1; p >= rows.begin; --p) {
      for (int q = columns.end - 1; q >= columns.begin; --q) {
        const int r = in.line + m.pad_h - p * m.stride_h, s = in.at + m.pad_w - q * m.stride_w;
        const Channels<V> d =
            load_channels<V>(d_dst + ((static_cast<std::size_t>(in.n) * m.out_h + p) * m.out_w + q) * m.c + at.channel);
        const Channels<V> w = load_tap<V>(weight, at.channel, r * m.s + s, m);
#pragma unroll
        for (int v = 0; v < V; ++v) sum.of[v] = __fmaf_rn(d.of[v], w.of[v], sum.of[v]);
      }
    }
    store_channels(d_src + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

template <int V>
void run_forward(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  run_forward_windows<V>(g, floats(io.src), floats(io.weight), PlainSink<V>(floats(io.dst), floats(io.bias)),
                         context.stream);
}

template <int V>
void run_backward(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  const WindowMap m = window_map(g);
  const float *d_dst = floats(io.d_dst), *weight = floats(io.weight);
  const PlainReader<V> reader{d_dst};
  const PlainSink<V> sink(floats(io.d_src), nullptr);
  const int stride = stride3x3(g);
  if (stride == 1)
    return run_windows3x3<V, Backward3x3<1>>(reader, weight, sink, backward_sides(m), m.n, context.stream);
  if (stride == 2)
    return run_windows3x3<V, Backward3x3<2>>(reader, weight, sink, backward_sides(m), m.n, context.stream);
  const ChannelGrid grid = channel_grid(g.n * g.h * g.w, g.c, V, kBlocks3x3);
  OCTET_LAUNCH((any_backward<V>), blocks_of(grid), kChannelThreads, context.stream, d_dst, weight, floats(io.d_src), m,
               grid);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dwconv2d_fwd_f32)(const DwConv2dProblem& g) { return too_large(g); }
void OCTET_GPU_NAME(dwconv2d_fwd_f32)(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  by_fours(g.c, {io.src, io.bias, io.dst}) ? run_forward<4>(g, io, context) : run_forward<1>(g, io, context);
}

const char* OCTET_GPU_WHY_NOT(dwconv2d_bwd_data_f32)(const DwConv2dProblem& g) { return too_large(g); }
void OCTET_GPU_NAME(dwconv2d_bwd_data_f32)(const DwConv2dProblem& g, const DwConv2dPointers& io,
                                           const Context& context) {
  by_fours(g.c, {io.d_dst, io.d_src}) ? run_backward<4>(g, io, context) : run_backward<1>(g, io, context);
}

}  // namespace octet::kernels
