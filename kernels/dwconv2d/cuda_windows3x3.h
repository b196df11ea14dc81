// Depthwise 3x3 windows of strides 1 and 2 on the device, forward and the gradient of the source: columns stay in
// registers, taps run in (r,s) order by FMA from zero, those outside are skipped.
#pragma once
#include "kernels/cuda_windows.h"
#include "kernels/dwconv2d/cuda_channels3x3.h"
#include "kernels/dwconv2d/cuda_readers.h"
#include "kernels/dwconv2d/windows3x3.h"

namespace octet::kernels {
namespace {

/// Blocks of a launch: a few waves of the largest device. Each has a run of rows, so that rows are read again while
/// they are near.
constexpr unsigned kBlocks3x3 = 2048;
/// Of one with tallies, whose blocks leave parts to be merged.
constexpr unsigned kTalliedBlocks3x3 = 1024;

/// One side of a 3x3 convolution: a map that is read and one that is written.
struct Sides {
  int from_h, from_w, to_h, to_w, pad_h, pad_w, groups, c;
};
inline Sides forward_sides(const WindowMap& m) { return {m.h, m.w, m.out_h, m.out_w, m.pad_h, m.pad_w, 0, m.c}; }
inline Sides backward_sides(const WindowMap& m) { return {m.out_h, m.out_w, m.h, m.w, m.pad_h, m.pad_w, 0, m.c}; }

/// `Shape` of windows3x3.h; `Weights` of load_weights3x3().
template <int V, class Shape, class Weights, class Reader, class Sink>
__global__ void __launch_bounds__(kChannelThreads, 2)
    windows3x3(Reader reader, Weights weight, Sink sink, Sides m, ChannelGrid grid) {
  const ChannelPlace at = channel_place<V>(grid, m.c);
  Channels<V> taps[9];
  load_weights3x3<V>(weight, grid, m.c, taps);
  reader.start(at.channel, at.channel < m.c);
  sink.start(at.channel, at.channel < m.c);
  for (int item = at.begin; item < at.end; item += at.step) {
    const LinePlace group = line_place(item, m.to_h, m.groups);
    const int first = Shape::first(group.at, m.pad_w), left = Shape::left(first, m.pad_w);
    Channels<V> sum[Shape::kOutputs] = {};
#pragma unroll
    for (int r = 0; r < 3; ++r) {
      // No branch around a row, so that the loads of all three are on their way together.
      const int y = Shape::row(group.line, r, m.pad_h);
      const bool there = static_cast<unsigned>(y) < static_cast<unsigned>(m.from_h);
      Channels<V> x[Shape::kColumns];
      bool inside[Shape::kColumns];
      load_columns(reader,
                   (static_cast<std::size_t>(group.n) * m.from_h + (there ? y : 0)) * m.from_w * m.c + at.channel, left,
                   there ? m.from_w : 0, m.c, x, inside);
#pragma unroll
      for (int k = 0; k < Shape::kOutputs; ++k) {
#pragma unroll
        for (int s = 0; s < 3; ++s) {
          const int j = Shape::column(k, s);
          if (j < 0 || !inside[j]) continue;
#pragma unroll
          for (int v = 0; v < V; ++v) sum[k].of[v] = __fmaf_rn(x[j].of[v], taps[r * 3 + s].of[v], sum[k].of[v]);
        }
      }
    }
    const std::size_t row = (static_cast<std::size_t>(group.n) * m.to_h + group.line) * m.to_w * m.c + at.channel;
#pragma unroll
    for (int k = 0; k < Shape::kOutputs; ++k)
      if (static_cast<unsigned>(first + k) < static_cast<unsigned>(m.to_w))
        sink.put(row + static_cast<std::size_t>(first + k) * m.c, at.channel, sum[k]);
  }
  sink.finish(grid, m.c);
}

/// Items of a launch over n pictures.
template <int V, class Shape>
ChannelGrid grid3x3(Sides& m, int n, unsigned blocks) {
  m.groups = Shape::groups(m.to_w, m.pad_w);
  return channel_grid(std::int64_t{n} * m.to_h * m.groups, m.c, V, blocks);
}

template <int V, class Shape, class Weights, class Reader>
void run_windows3x3(const Reader& reader, const Weights& weight, const PlainSink<V>& sink, Sides m, int n,
                    void* stream) {
  const ChannelGrid grid = grid3x3<V, Shape>(m, n, kBlocks3x3);
  OCTET_LAUNCH((windows3x3<V, Shape, Weights, Reader, PlainSink<V>>), blocks_of(grid), kChannelThreads, stream, reader,
               weight, sink, m, grid);
}

/// The same through an epilogue of cuda_tally.h.
template <int V, class Shape, class Reader, class E>
void run_tallied3x3(const Reader& reader, const float* weight, const E& epilogue, float* to, Sides m, int n,
                    void* stream) {
  const ChannelGrid grid = grid3x3<V, Shape>(m, n, kTalliedBlocks3x3);
  const Scratch<typename E::Tally> parts(std::size_t{grid.chunks} * static_cast<unsigned>(m.c));
  const TallySink<V, E> sink(to, epilogue, parts.data());
  OCTET_LAUNCH((windows3x3<V, Shape, const float*, Reader, TallySink<V, E>>), blocks_of(grid), kChannelThreads, stream,
               reader, weight, sink, m, grid);
  launch_finish(epilogue, parts.data(), static_cast<int>(grid.chunks), m.c, stream);
}

}  // namespace
}  // namespace octet::kernels
