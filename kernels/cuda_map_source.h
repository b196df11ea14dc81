// The source of a fused convolution behind its map, in memory: windows and tiles read an element several times, and a
// pass that maps each once costs less than mapping in every one of those loads (docs/cuda.md has the times).
#pragma once
#include <optional>

#include "kernels/cuda_channels.h"
#include "kernels/cuda_map.h"

namespace octet::kernels {
namespace {

/// Blocks of a launch: a few waves of the largest device.
constexpr unsigned kMapSourceBlocks = 4096;

template <int V>
__global__ void __launch_bounds__(kChannelThreads)
    map_source(ChannelMap map, const float* __restrict__ src, float* __restrict__ x, ChannelGrid grid, int c) {
  const ChannelPlace at = channel_place<V>(grid, c);
  float scale[V] = {}, shift[V] = {};
  for (int v = 0; v < V && at.channel < c; ++v)
    scale[v] = map.scale(at.channel + v), shift[v] = map.shift(at.channel + v);
  map_pixels<V>(src, x, at, c, [&](int v, float z) { return map.value(z, scale[v], shift[v]); });
}

/// What the convolution multiplies: src itself where there is no map; else map(src), in io.x or, where that is null, in
/// scratch memory for the length of a call.
class MappedSource {
 public:
  /// made: io.x has it already.
  MappedSource(const ConvBnProblem& p, const ConvBnPointers& io, bool made, void* stream) : x_(io.src) {
    if (!p.mapped && p.act == Activation::none && !p.quantized) return;
    if (io.x == nullptr)
      scratch_.emplace(static_cast<std::size_t>(p.geometry.n * p.geometry.h * p.geometry.w * p.geometry.c));
    float* const x = io.x != nullptr ? io.x : scratch_->data();
    x_ = x;
    if (io.x == nullptr || !made)
      by_fours(p.geometry.c, {io.src, x}) ? run<4>(p, io, x, stream) : run<1>(p, io, x, stream);
  }
  const float* data() const { return x_; }

 private:
  template <int V>
  static void run(const ConvBnProblem& p, const ConvBnPointers& io, float* x, void* stream) {
    const ConvGeometry& g = p.geometry;
    const ChannelGrid grid = channel_grid(g.n * g.h * g.w, g.c, V, kMapSourceBlocks);
    OCTET_LAUNCH((map_source<V>), blocks_of(grid), kChannelThreads, stream, ChannelMap(p, io), io.src, x, grid,
                 static_cast<int>(g.c));
  }

  const float* x_;
  std::optional<Scratch<float>> scratch_;
};

}  // namespace
}  // namespace octet::kernels
