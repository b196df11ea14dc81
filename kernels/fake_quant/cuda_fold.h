// Folds of the rows of a [rows, length] matrix on the device: maxima, ranges and sums. A short row is a warp's; a long
// one a block's, or of several blocks that take a slice each, whose results a second launch folds. The partition
// follows from the extents alone.
//
// A folded value V has V::none(), merged(V) and across(offset): the value of the lane `offset` away. A source has
// add<kWidth>(V&, row, unit), unit = kWidth elements counted over the whole matrix; a sink has put(row, V).
#pragma once
#include <algorithm>

#include "core/gpu/gpu.h"
#include "core/gpu/pack.h"

namespace octet::kernels {
namespace {

constexpr int kFoldWarps = 8;
constexpr std::size_t kWarpRow = 1024, kSlice = 4096, kFoldBlocks = 2048;

/// Σ in double.
struct Sum {
  double sum;
  __device__ static Sum none() { return {0.0}; }
  __device__ Sum merged(Sum b) const { return {sum + b.sum}; }
  __device__ Sum across(int offset) const { return {__shfl_xor_sync(gpu::kAllLanes, sum, offset)}; }
};

/// max |x| by its bits: they are ordered as the values, and those of a NaN are above all others.
struct Top {
  unsigned bits;
  __device__ static Top none() { return {0u}; }
  __device__ static Top of(float x) { return {static_cast<unsigned>(__float_as_int(x)) & 0x7fffffffu}; }
  __device__ Top merged(Top b) const { return {bits > b.bits ? bits : b.bits}; }
  __device__ Top across(int offset) const { return {__shfl_xor_sync(gpu::kAllLanes, bits, offset)}; }
  __device__ float value() const { return __int_as_float(static_cast<int>(bits)); }
};

/// Least and greatest; a NaN stays.
struct Range {
  float low, high;
  __device__ static Range none() { return {__int_as_float(0x7f800000), -__int_as_float(0x7f800000)}; }
  __device__ Range merged(Range b) const {
    return {low != low || low < b.low ? low : b.low, high != high || high > b.high ? high : b.high};
  }
  __device__ Range across(int offset) const {
    return {__shfl_xor_sync(gpu::kAllLanes, low, offset), __shfl_xor_sync(gpu::kAllLanes, high, offset)};
  }
};

/// The values of a team of kWarps warps (1, or the whole block) folded; every thread gets the result.
template <int kWarps, class Value>
__device__ Value fold_team(Value v) {
  for (int offset = 16; offset > 0; offset /= 2) v = v.merged(v.across(offset));
  if constexpr (kWarps > 1) {
    __shared__ Value parts[kWarps];
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = parts[0];
    for (int warp = 1; warp < kWarps; ++warp) v = v.merged(parts[warp]);
  }
  return v;
}

/// The row of this thread's team, and the thread's number in it.
template <int kWarps>
__device__ std::size_t team_row() {
  return kWarps > 1 ? blockIdx.x : static_cast<std::size_t>(blockIdx.x) * kFoldWarps + threadIdx.x / 32;
}
template <int kWarps>
__device__ unsigned team_thread() {
  return kWarps > 1 ? threadIdx.x : threadIdx.x % 32;
}

/// Slice blockIdx.y of each row; `units` of a row, `slice_units` of a slice.
template <int kWarps, int kWidth, class Value, class Source, class Sink>
__global__ void fold_rows(Source source, Sink sink, std::size_t rows, std::size_t units, std::size_t slice_units) {
  const std::size_t row = team_row<kWarps>();
  if (row >= rows) return;  // a whole warp
  const std::size_t first = blockIdx.y * slice_units, end = first + slice_units < units ? first + slice_units : units;
  Value v = Value::none();
#pragma unroll 4
  for (std::size_t u = first + team_thread<kWarps>(); u < end; u += kWarps * 32)
    source.template add<kWidth>(v, row, row * units + u);
  v = fold_team<kWarps>(v);
  if (team_thread<kWarps>() == 0) sink.put(row * gridDim.y + blockIdx.y, v);
}

/// Results of slices, kept and read again.
template <class Value>
struct Kept {
  Value* values;
  __device__ void put(std::size_t i, Value v) const { values[i] = v; }
  template <int kWidth>
  __device__ void add(Value& v, std::size_t, std::size_t i) const {
    v = v.merged(values[i]);
  }
};

inline dim3 warp_row_grid(std::size_t rows) {
  return dim3(static_cast<unsigned>((rows + kFoldWarps - 1) / kFoldWarps));
}

/// Folds rows of `length` elements; kWidth divides length.
template <class Value, int kWidth, class Source, class Sink>
void fold_as(const Source& source, const Sink& sink, std::size_t rows, std::size_t length, void* stream) {
  constexpr unsigned kThreads = kFoldWarps * 32;
  const std::size_t units = length / kWidth;
  if (length <= kWarpRow) {
    OCTET_LAUNCH((fold_rows<1, kWidth, Value, Source, Sink>), warp_row_grid(rows), kThreads, stream, source, sink, rows,
                 units, units);
    return;
  }
  const std::size_t wanted = std::min((length + kSlice - 1) / kSlice, std::max<std::size_t>(1, kFoldBlocks / rows));
  const std::size_t slice_units = (units + wanted - 1) / wanted, slices = (units + slice_units - 1) / slice_units;
  const dim3 grid(static_cast<unsigned>(rows), static_cast<unsigned>(slices));
  if (slices == 1) {
    OCTET_LAUNCH((fold_rows<kFoldWarps, kWidth, Value, Source, Sink>), grid, kThreads, stream, source, sink, rows,
                 units, units);
    return;
  }
  const std::size_t bytes = rows * slices * sizeof(Value);
  const Kept<Value> kept{static_cast<Value*>(gpu::scratch_acquire(bytes))};
  OCTET_LAUNCH((fold_rows<kFoldWarps, kWidth, Value, Source, Kept<Value>>), grid, kThreads, stream, source, kept, rows,
               units, slice_units);
  OCTET_LAUNCH((fold_rows<kFoldWarps, 1, Value, Kept<Value>, Sink>), static_cast<unsigned>(rows), kThreads, stream,
               kept, sink, rows, slices, slices);
  gpu::scratch_release(kept.values, bytes);
}

template <class Value, class Source, class Sink>
void fold(const Source& source, const Sink& sink, std::size_t rows, std::size_t length, bool wide, void* stream) {
  wide ? fold_as<Value, 4>(source, sink, rows, length, stream) : fold_as<Value, 1>(source, sink, rows, length, stream);
}

}  // namespace
}  // namespace octet::kernels
