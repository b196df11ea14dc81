// Depthwise convolution on the device, forward and the gradient of its source, with the bits of the reference: taps in
// (r,s) order by FMA from zero, those outside skipped. 3x3 windows of strides 1 and 2 keep their columns in registers;
// others go tap by tap.
#include "kernels/dwconv2d/cuda_windows3x3.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {
namespace {

/// sum += x · weight of the tap, channel by channel.
template <int V>
__device__ inline void add_tap(Channels<V>& sum, const float* x, const float* weight, int taps) {
  const Channels<V> a = load_channels<V>(x);
#pragma unroll
  for (int v = 0; v < V; ++v) sum.of[v] = __fmaf_rn(a.of[v], weight[static_cast<std::size_t>(v) * taps], sum.of[v]);
}

/// Any window; an item is a pixel of dst.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    any_forward(const float* __restrict__ src, const float* __restrict__ weight, const float* __restrict__ bias,
                float* __restrict__ dst, WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  const int taps = m.r * m.s;
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace out = line_place(item, m.out_h, m.out_w);
    const int top = out.line * m.stride_h - m.pad_h, left = out.at * m.stride_w - m.pad_w;
    const AxisSpan rows = places(out.line, m.stride_h, m.pad_h, m.r, m.h),
                   columns = places(out.at, m.stride_w, m.pad_w, m.s, m.w);
    Channels<V> sum = {};
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x)
        add_tap(sum, src + ((static_cast<std::size_t>(out.n) * m.h + y) * m.w + x) * m.c + at.channel,
                weight + static_cast<std::size_t>(at.channel) * taps + (y - top) * m.s + (x - left), taps);
    }
    if (bias != nullptr) {
#pragma unroll
      for (int v = 0; v < V; ++v) sum.of[v] += bias[at.channel + v];
    }
    store_channels(dst + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

/// Any window; an item is a pixel of d_src.
template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    any_backward(const float* __restrict__ d_dst, const float* __restrict__ weight, float* __restrict__ d_src,
                 WindowMap m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  const int taps = m.r * m.s;
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace in = line_place(item, m.h, m.w);
    const AxisSpan rows = windows(in.line, m.stride_h, m.pad_h, m.r, m.out_h),
                   columns = windows(in.at, m.stride_w, m.pad_w, m.s, m.out_w);
    Channels<V> sum = {};
    // Taps ascend where windows descend.
    for (int p = rows.end - 1; p >= rows.begin; --p) {
      for (int q = columns.end - 1; q >= columns.begin; --q) {
        const int r = in.line + m.pad_h - p * m.stride_h, s = in.at + m.pad_w - q * m.stride_w;
        add_tap(sum, d_dst + ((static_cast<std::size_t>(in.n) * m.out_h + p) * m.out_w + q) * m.c + at.channel,
                weight + static_cast<std::size_t>(at.channel) * taps + r * m.s + s, taps);
      }
    }
    store_channels(d_src + static_cast<std::size_t>(item) * m.c + at.channel, sum);
  }
}

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

template <int V>
void run_forward(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context& context) {
  const WindowMap m = window_map(g);
  const float *src = floats(io.src), *weight = floats(io.weight), *bias = floats(io.bias);
  const PlainReader<V> reader{src};
  const PlainSink<V> sink(floats(io.dst), bias);
  const int stride = stride3x3(g);
  if (stride == 1) return run_windows3x3<V, Forward3x3<1>>(reader, weight, sink, forward_sides(m), m.n, context.stream);
  if (stride == 2) return run_windows3x3<V, Forward3x3<2>>(reader, weight, sink, forward_sides(m), m.n, context.stream);
  const ChannelGrid grid = channel_grid(g.out_pixels(), g.c, V, kBlocks3x3);
  OCTET_LAUNCH((any_forward<V>), blocks_of(grid), kChannelThreads, context.stream, src, weight, bias, floats(io.dst), m,
               grid);
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
