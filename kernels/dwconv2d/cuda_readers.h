// How 3x3 kernels of the device read their operands and store their results: as they are, or as a fused convolution
// wants it (kernels/conv_bn.h). A reader or sink is told its thread's channels once, by start(). at() of a reader
// brings channels from memory, value() makes of them what is multiplied: several are brought before the first is made.
#pragma once
#include "kernels/cuda_channels.h"
#include "kernels/cuda_tally.h"

namespace octet::kernels {
namespace {

template <int V>
struct PlainReader {
  const float* from;
  __device__ void start(int, bool) {}
  __device__ Channels<V> at(std::size_t i) const { return load_channels<V>(from + i); }
  __device__ static Channels<V> value(const Channels<V>& x) { return x; }
};

/// d_dst with the gradient that comes through batch statistics.
template <int V>
struct LateReader {
  const float *d_dst, *z, *slope_of, *offset_of;
  float slope[V] = {}, offset[V] = {};
  explicit LateReader(const ConvBnPointers& io)
      : d_dst(io.d_dst), z(io.z_dst), slope_of(io.slope), offset_of(io.offset) {}
  __device__ void start(int channel, bool any) {
    for (int v = 0; slope_of != nullptr && any && v < V; ++v)
      slope[v] = slope_of[channel + v], offset[v] = offset_of[channel + v];
  }
  __device__ Channels<V> at(std::size_t i) const {
    Channels<V> d = load_channels<V>(d_dst + i);
    if (slope_of == nullptr) return d;
    const Channels<V> raw = load_channels<V>(z + i);
#pragma unroll
    for (int v = 0; v < V; ++v) d.of[v] = LateSum::sum(d.of[v], raw.of[v], slope[v], offset[v]);
    return d;
  }
  __device__ static Channels<V> value(const Channels<V>& d) { return d; }
};

template <int V>
struct PlainSink {
  float* to;
  const float* bias;
  Activation act;
  float summand[V] = {};
  PlainSink(float* where, const float* b, Activation a = Activation::none) : to(where), bias(b), act(a) {}
  __device__ void start(int channel, bool any) {
    for (int v = 0; bias != nullptr && any && v < V; ++v) summand[v] = bias[channel + v];
  }
  __device__ void put(std::size_t i, int, Channels<V> sum) {
#pragma unroll
    for (int v = 0; v < V; ++v) sum.of[v] = activate(bias != nullptr ? sum.of[v] + summand[v] : sum.of[v], act);
    store_channels(to + i, sum);
  }
  __device__ void finish(const ChannelGrid&, int) {}
};

/// Through an epilogue of cuda_tally.h; a block leaves its channels' tallies in parts[chunk][channel].
template <int V, class E>
struct TallySink {
  using Tally = typename E::Tally;
  float* to;
  E epilogue;
  Tally* parts;
  Tally tallies[V] = {};
  TallySink(float* where, const E& e, Tally* tally_parts) : to(where), epilogue(e), parts(tally_parts) {}
  __device__ void start(int, bool) {
    for (int v = 0; v < V; ++v) tallies[v] = Tally::none();
  }
  __device__ void put(std::size_t i, int channel, Channels<V> sum) {
    const auto at = static_cast<std::int64_t>(i);
    if constexpr (V == 4) {
      const float4 x = epilogue.quad(at, channel, make_float4(sum.of[0], sum.of[1], sum.of[2], sum.of[3]), tallies);
      sum = {{x.x, x.y, x.z, x.w}};
    } else {
      sum.of[0] = epilogue.value(at, channel, sum.of[0], tallies[0]);
    }
    store_channels(to + i, sum);
  }
  /// All threads of the block. Rows of a warp are merged in registers, warps in shared memory.
  __device__ void finish(const ChannelGrid& grid, int c) {
    constexpr int kWarps = kChannelThreads / 32;
    __shared__ Tally shared[kWarps][32];
    const int lanes = static_cast<int>(grid.lanes), thread = static_cast<int>(threadIdx.x),
              channel = (static_cast<int>(blockIdx.x) * lanes + thread) * V;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      Tally all = tallies[v];
      for (int offset = lanes; offset < 32; offset *= 2) all = all.merged(all.across(offset));
      __syncthreads();
      shared[thread / 32][thread % 32] = all;
      __syncthreads();
      if (thread >= lanes || channel + v >= c) continue;
      for (int warp = 1; warp < kWarps; ++warp) all = all.merged(shared[warp][thread]);
      parts[static_cast<std::size_t>(blockIdx.y) * static_cast<unsigned>(c) + static_cast<unsigned>(channel + v)] = all;
    }
  }
};

/// Columns left, left + 1, … of the row of `width` pixels of c channels that begins at element `row`. Those outside are
/// zeros, and inside[j] says which are not.
template <int N, int V, class Reader>
__device__ inline void load_columns(const Reader& reader, std::size_t row, int left, int width, int c,
                                    Channels<V> (&x)[N], bool (&inside)[N]) {
#pragma unroll
  for (int j = 0; j < N; ++j) {
    inside[j] = static_cast<unsigned>(left + j) < static_cast<unsigned>(width);
    x[j] = {};
    if (inside[j]) x[j] = reader.at(row + static_cast<std::size_t>(left + j) * static_cast<unsigned>(c));
  }
#pragma unroll
  for (int j = 0; j < N; ++j)
    if (inside[j]) x[j] = reader.value(x[j]);
}

}  // namespace
}  // namespace octet::kernels
