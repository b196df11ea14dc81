// What kernels over channels-last maps share on the device: vectors of channels, a thread's place in a ChannelGrid,
// sums over the rows of a block and over chunks.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "core/gpu/dialect.h"
#include "core/gpu/gpu.h"
#include "kernels/channel_grid.h"

namespace octet::kernels {
namespace {

/// V neighbouring channels of a pixel, in registers.
template <int V, class T = float>
struct Channels {
  T of[V];
};

template <int V>
__device__ inline Channels<V> load_channels(const float* from) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 1) {
    return {{from[0]}};
  } else {
    const float4 x = *reinterpret_cast<const float4*>(from);
    return {{x.x, x.y, x.z, x.w}};
  }
}
template <int V>
__device__ inline Channels<V, int> load_channels(const int* from) {
  if constexpr (V == 1) {
    return {{from[0]}};
  } else {
    const int4 x = *reinterpret_cast<const int4*>(from);
    return {{x.x, x.y, x.z, x.w}};
  }
}
template <int V, class T>
__device__ inline void store_channels(T* to, const Channels<V, T>& x) {
  if constexpr (V == 1) {
    to[0] = x.of[0];
  } else if constexpr (std::is_same_v<T, int>) {
    *reinterpret_cast<int4*>(to) = make_int4(x.of[0], x.of[1], x.of[2], x.of[3]);
  } else {
    *reinterpret_cast<float4*>(to) = make_float4(x.of[0], x.of[1], x.of[2], x.of[3]);
  }
}

/// A thread's part: channels [channel, channel + V) of the items begin, begin + step, … below end.
struct ChannelPlace {
  int channel, begin, end, step;
};
/// A block is (strip, chunk) of the grid. No items for lanes behind the last channel.
template <int V>
__device__ inline ChannelPlace channel_place(const ChannelGrid& grid, int c) {
  const unsigned lane = threadIdx.x & (grid.lanes - 1), row = threadIdx.x / grid.lanes;
  const int first = static_cast<int>(blockIdx.y) * grid.chunk;
  ChannelPlace at;
  at.channel = static_cast<int>(blockIdx.x * grid.lanes + lane) * V;
  at.step = static_cast<int>(kChannelThreads / grid.lanes);
  at.begin = first + static_cast<int>(row);
  at.end = at.channel < c ? min(first + grid.chunk, grid.items) : first;
  return at;
}

/// f(number, item) for a thread's items, `kAhead` at a time: item, item + step, … The number is a type, so that f can
/// load all of them before it uses the first. What is left over comes one by one.
template <int kAhead, class F>
__device__ inline void for_items(const ChannelPlace& at, F f) {
  int item = at.begin;
  for (; item + (kAhead - 1) * at.step < at.end; item += kAhead * at.step)
    f(std::integral_constant<int, kAhead>{}, item);
  for (; item < at.end; item += at.step) f(std::integral_constant<int, 1>{}, item);
}

/// Loads the channels of a thread's next N pixels.
template <int V, int N>
__device__ inline void load_pixels(const float* from, const ChannelPlace& at, int pixel, int c, Channels<V> (&x)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i)
    x[i] = load_channels<V>(from + static_cast<std::size_t>(pixel + i * at.step) * c + at.channel);
}

/// dst = f(channel, src) element by element of a thread's items, channel one of its V; dst may be src.
template <int V, class F>
__device__ inline void map_pixels(const float* src, float* dst, const ChannelPlace& at, int c, F f) {
  for_items<4>(at, [&](auto number, int pixel) {
    Channels<V> x[number()];
    load_pixels(src, at, pixel, c, x);
#pragma unroll
    for (int i = 0; i < number(); ++i) {
#pragma unroll
      for (int v = 0; v < V; ++v) x[i].of[v] = f(v, x[i].of[v]);
      store_channels(dst + static_cast<std::size_t>(pixel + i * at.step) * c + at.channel, x[i]);
    }
  });
}

/// Elements of shared memory that sum_rows<N> needs.
constexpr int row_sum_size(int n) { return n * static_cast<int>(kChannelThreads + 32); }

/// Adds values[i] over the rows of the block in order: some thread calls store(i, lane, sum) for each i and lane.
template <int N, class T, class Store>
__device__ inline void sum_rows(const T (&values)[N], T* shared, unsigned lanes, Store store) {
  const unsigned pitch = kChannelThreads + lanes;
#pragma unroll
  for (unsigned i = 0; i < N; ++i) shared[i * pitch + threadIdx.x] = values[i];
  __syncthreads();
  for (unsigned at = threadIdx.x; at < N * lanes; at += kChannelThreads) {
    const unsigned i = at / lanes, lane = at % lanes;
    T sum = 0;
    for (unsigned from = lane; from < kChannelThreads; from += lanes) sum += shared[i * pitch + from];
    store(i, lane, sum);
  }
}

constexpr unsigned kColumnLanes = 8;
inline unsigned column_blocks(unsigned columns) { return (columns + kColumnLanes - 1) / kColumnLanes; }

/// Of `parts`, chunks of N rows of `columns`, adds each of the N rows over the chunks, in an order that depends on
/// their number alone: store(i, column, sum). A block of kChannelThreads takes kColumnLanes columns.
template <int N, class T, class Store>
__device__ inline void sum_chunks(const T* __restrict__ parts, unsigned chunks, unsigned columns, Store store) {
  __shared__ T shared[row_sum_size(N)];
  const unsigned first = blockIdx.x * kColumnLanes, column = first + threadIdx.x % kColumnLanes;
  T sums[N] = {};
  if (column < columns) {
#pragma unroll 4
    for (unsigned chunk = threadIdx.x / kColumnLanes; chunk < chunks; chunk += kChannelThreads / kColumnLanes) {
#pragma unroll
      for (int i = 0; i < N; ++i) sums[i] += parts[(static_cast<std::size_t>(chunk) * N + i) * columns + column];
    }
  }
  sum_rows(sums, shared, kColumnLanes, [&](unsigned i, unsigned lane, T sum) {
    if (first + lane < columns) store(i, first + lane, sum);
  });
}

/// May four channels be read at once?
inline bool by_fours(std::int64_t c, std::initializer_list<const void*> pointers) {
  for (const void* p : pointers)
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) return false;
  return c % 4 == 0;
}

/// Scratch memory for the length of a call.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::size_t count) : bytes_(count * sizeof(T)), memory_(gpu::scratch_acquire(bytes_)) {}
  ~Scratch() { gpu::scratch_release(memory_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return static_cast<T*>(memory_); }

 private:
  std::size_t bytes_;
  void* memory_;
};

inline dim3 blocks_of(const ChannelGrid& grid) { return dim3(grid.strips, grid.chunks); }

}  // namespace
}  // namespace octet::kernels
