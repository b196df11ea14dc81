// Weights of depthwise kernels on the device, in either layout: a pointer to weights C,R,S, or TapMajor.
#pragma once
#include "kernels/cuda_channels.h"
#include "kernels/cuda_windows.h"

namespace octet::kernels {
namespace {

/// Weights R,S,C.
struct TapMajor {
  const float* weight;
};

/// Those of one tap, of `channel` and its neighbours.
template <int V>
__device__ inline Channels<V> load_tap(const TapMajor& from, int channel, int tap, const WindowMap& m) {
  return load_channels<V>(from.weight + static_cast<std::size_t>(tap) * m.c + channel);
}
template <int V>
__device__ inline Channels<V> load_tap(const float* __restrict__ weight, int channel, int tap, const WindowMap& m) {
  Channels<V> w;
#pragma unroll
  for (int v = 0; v < V; ++v) w.of[v] = weight[static_cast<std::size_t>(channel + v) * (m.r * m.s) + tap];
  return w;
}

/// The nine weights of a thread's channels, [tap].
template <int V>
__device__ inline void load_weights3x3(const TapMajor& from, const ChannelGrid& grid, int c, Channels<V> (&taps)[9]) {
  const int channel = static_cast<int>(blockIdx.x * grid.lanes + (threadIdx.x & (grid.lanes - 1))) * V;
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) {
    taps[tap] = {};
    if (channel < c) taps[tap] = load_channels<V>(from.weight + static_cast<std::size_t>(tap) * c + channel);
  }
}

/// The same from C,3,3. All threads of the block call it.
template <int V>
__device__ inline void load_weights3x3(const float* __restrict__ weight, const ChannelGrid& grid, int c,
                                       Channels<V> (&taps)[9]) {
  constexpr int kPitch = 32 * V + 4;
  alignas(16) __shared__ float shared[9 * kPitch];
  const int strip = static_cast<int>(grid.lanes) * V, first = static_cast<int>(blockIdx.x) * strip;
  const int count = 9 * min(strip, c - first);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(kChannelThreads))
    shared[i % 9 * kPitch + i / 9] = weight[static_cast<std::size_t>(first) * 9 + i];
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x & (grid.lanes - 1));
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) taps[tap] = load_channels<V>(shared + tap * kPitch + lane * V);
}

}  // namespace
}  // namespace octet::kernels
