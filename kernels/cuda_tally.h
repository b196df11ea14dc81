// What a fused convolution of the device adds up per channel while it stores: statistics of its output, or the
// gradients of the affine map in front of it. Blocks leave their parts in memory, in an order that follows from the
// extents; a second launch merges them.
//
// A tally has none(), merged(tally) and across(offset): that of the lane `offset` away. An epilogue has a Tally,
//   value(i, c, x, tally)   what is stored for element i, of channel c, whose sum is x
//   quad(i, c, x, tallies)  the same for four neighbouring elements and channels, where by_quads()
//   put(c, tally)           takes a channel's whole tally
#pragma once
#include "core/gpu/gpu.h"
#include "kernels/cuda_map.h"
#include "kernels/moments.h"

namespace octet::kernels {
namespace {

/// Σ z, Σ z² and the extremes, where a NaN stays.
struct Moments {
  double sum, square;
  float low, high;
  __device__ static Moments none() { return {0, 0, __int_as_float(0x7f800000), -__int_as_float(0x7f800000)}; }
  __device__ void add(float z) {
    const double x = static_cast<double>(z);
    sum += x, square = __fma_rn(x, x, square);
    low = low != low || low < z ? low : z, high = high != high || high > z ? high : z;
  }
  __device__ Moments merged(const Moments& b) const {
    return {sum + b.sum, square + b.square, low != low || low < b.low ? low : b.low,
            high != high || high > b.high ? high : b.high};
  }
  __device__ Moments across(int offset) const {
    return {__shfl_xor_sync(gpu::kAllLanes, sum, offset), __shfl_xor_sync(gpu::kAllLanes, square, offset),
            __shfl_xor_sync(gpu::kAllLanes, low, offset), __shfl_xor_sync(gpu::kAllLanes, high, offset)};
  }
};

/// Stores z as it is; mean and variance, low and high as ConvBnPointers has them.
struct TakeMoments {
  using Tally = Moments;
  float *mean, *variance, *low, *high;
  double pixels;
  TakeMoments(const ConvBnProblem& p, const ConvBnPointers& io)
      : mean(io.mean),
        variance(io.variance),
        low(io.low),
        high(io.high),
        pixels(static_cast<double>(p.geometry.out_pixels())) {}
  bool wanted() const { return mean != nullptr || low != nullptr; }
  __device__ float value(std::int64_t, int, float z, Moments& tally) const {
    tally.add(z);
    return z;
  }
  bool by_quads() const { return true; }
  __device__ float4 quad(std::int64_t, int, const float4& z, Moments* tallies) const {
    tallies[0].add(z.x), tallies[1].add(z.y), tallies[2].add(z.z), tallies[3].add(z.w);
    return z;
  }
  __device__ void put(int c, const Moments& tally) const {
    if (mean != nullptr) moments_of(tally.sum, tally.square, pixels, mean[c], variance[c]);
    if (low != nullptr) low[c] = tally.low, high[c] = tally.high;
  }
};

/// Σ g · z and Σ g.
struct MapSums {
  double scale, shift;
  __device__ static MapSums none() { return {0, 0}; }
  __device__ MapSums merged(const MapSums& b) const { return {scale + b.scale, shift + b.shift}; }
  __device__ MapSums across(int offset) const {
    return {__shfl_xor_sync(gpu::kAllLanes, scale, offset), __shfl_xor_sync(gpu::kAllLanes, shift, offset)};
  }
};

/// Stores d_src = g · scale of d_x, g where the map passes gradients.
struct MapGradient {
  using Tally = MapSums;
  ChannelMap map;
  const float* src;
  float *d_scale, *d_shift;
  MapGradient(const ConvBnProblem& p, const ConvBnPointers& io)
      : map(p, io), src(io.src), d_scale(io.d_scale), d_shift(io.d_shift) {}
  __device__ float value(std::int64_t i, int c, float d_x, MapSums& tally) const {
    return of(__ldg(src + i), d_x, map.scale(c), map.shift(c), tally);
  }
  bool by_quads() const { return map.by_quads() && reinterpret_cast<std::uintptr_t>(src) % 16 == 0; }
  __device__ float4 quad(std::int64_t i, int c, const float4& d_x, MapSums* tallies) const {
    const float4 z = read_at<float4>(src + i), scale = map.scales(c), shift = map.shifts(c);
    return make_float4(of(z.x, d_x.x, scale.x, shift.x, tallies[0]), of(z.y, d_x.y, scale.y, shift.y, tallies[1]),
                       of(z.z, d_x.z, scale.z, shift.z, tallies[2]), of(z.w, d_x.w, scale.w, shift.w, tallies[3]));
  }
  __device__ float of(float z, float d_x, float scale, float shift, MapSums& tally) const {
    const float g = map.passes_gradient(z, scale, shift) ? d_x : 0.0f;
    tally.scale = __fma_rn(static_cast<double>(g), static_cast<double>(z), tally.scale);
    tally.shift += static_cast<double>(g);
    return d_scale != nullptr ? g * scale : g;
  }
  __device__ void put(int c, const MapSums& tally) const {
    if (d_scale != nullptr) d_scale[c] = static_cast<float>(tally.scale), d_shift[c] = static_cast<float>(tally.shift);
  }
};

constexpr int kTallyRows = 8;  // lines of 32 threads in a block of tally_matrix()

/// The tallies of a block's lines merged in order: line 0 gets them.
template <class Tally>
__device__ Tally merge_lines(const Tally& mine) {
  __shared__ Tally lines[kTallyRows][32];
  lines[threadIdx.y][threadIdx.x] = mine;
  __syncthreads();
  Tally all = lines[0][threadIdx.x];
  for (int y = 1; y < kTallyRows; ++y) all = all.merged(lines[y][threadIdx.x]);
  return all;
}

/// Lanes of finish_tallies(), a channel each: few, so that many blocks share the parts of a narrow map.
constexpr int kFinishLanes = 4, kFinishRows = 128;

/// Every channel's parts, [count][c], merged: a thread takes every kFinishRows-th, then rows are merged in halves.
template <class E>
__global__ void __launch_bounds__(kFinishLanes* kFinishRows)
    finish_tallies(E epilogue, const typename E::Tally* parts, int count, int c) {
  using Tally = typename E::Tally;
  __shared__ Tally rows[kFinishRows][kFinishLanes];
  const int lane = static_cast<int>(threadIdx.x) % kFinishLanes, row = static_cast<int>(threadIdx.x) / kFinishLanes,
            channel = static_cast<int>(blockIdx.x) * kFinishLanes + lane;
  Tally tally = Tally::none();
  if (channel < c) {
#pragma unroll 4
    for (int part = row; part < count; part += kFinishRows)
      tally = tally.merged(parts[static_cast<std::int64_t>(part) * c + channel]);
  }
  rows[row][lane] = tally;
  for (int half = kFinishRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (row < half) rows[row][lane] = tally = tally.merged(rows[row + half][lane]);
  }
  if (row == 0 && channel < c) epilogue.put(channel, tally);
}

/// The epilogue on a matrix [rows, c] that lies in memory, chunk by chunk.
template <class E>
__global__ void tally_matrix(E epilogue, float* x, typename E::Tally* parts, int rows, int c, int chunk_rows) {
  const int channel = static_cast<int>(blockIdx.x * 32 + threadIdx.x),
            begin = static_cast<int>(blockIdx.y) * chunk_rows;
  const int end = min(begin + chunk_rows, rows);
  typename E::Tally tally = E::Tally::none();
  for (int row = begin + static_cast<int>(threadIdx.y); channel < c && row < end; row += kTallyRows) {
    const std::int64_t i = static_cast<std::int64_t>(row) * c + channel;
    x[i] = epilogue.value(i, channel, x[i], tally);
  }
  tally = merge_lines(tally);
  if (threadIdx.y == 0 && channel < c) parts[static_cast<std::int64_t>(blockIdx.y) * c + channel] = tally;
}

inline unsigned tally_blocks(int c) { return static_cast<unsigned>((c + 31) / 32); }

template <class E>
void launch_finish(const E& epilogue, const typename E::Tally* parts, int count, int c, void* stream) {
  const auto blocks = static_cast<unsigned>((c + kFinishLanes - 1) / kFinishLanes);
  OCTET_LAUNCH(finish_tallies<E>, blocks, kFinishLanes * kFinishRows, stream, epilogue, parts, count, c);
}

/// tally_matrix() and its finish.
template <class E>
void tally_in_memory(const E& epilogue, float* x, int rows, int c, void* stream) {
  constexpr int kMostChunks = 512, kLeastRows = 64;
  const int even = (rows + kMostChunks - 1) / kMostChunks, chunk = even < kLeastRows ? kLeastRows : even;
  const int chunks = (rows + chunk - 1) / chunk;
  const std::size_t bytes = static_cast<std::size_t>(chunks) * static_cast<std::size_t>(c) * sizeof(typename E::Tally);
  auto* parts = static_cast<typename E::Tally*>(gpu::scratch_acquire(bytes));
  OCTET_LAUNCH(tally_matrix<E>, dim3(tally_blocks(c), static_cast<unsigned>(chunks)), dim3(32, kTallyRows), stream,
               epilogue, x, parts, rows, c, chunk);
  launch_finish(epilogue, parts, chunks, c, stream);
  gpu::scratch_release(parts, bytes);
}

}  // namespace
}  // namespace octet::kernels
