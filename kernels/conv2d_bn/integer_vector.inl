// The integer forward of conv2d_bn: the source is quantized to codes as it is loaded, and the engine's own integer rows
// multiply them. Included after conv2d_bn_vector.inl by a file that names those rows.
#pragma once
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {
namespace {

/// An integer row and its packing (conv2d_int8.h).
struct IntegerRow {
  bool is_unsigned;
  void (*run)(const IntConvProblem&, const IntConvPointers&, const Context&);
  std::size_t (*packed_bytes)(const IntConvProblem&);
  void (*pack)(const IntConvProblem&, const IntConvWeights&, void*);
};

inline const char* refuse_integers(const ConvBnProblem& p, bool is_unsigned) {
  if (!p.quantized) return "the source has no grid";
  if (!p.geometry.is_pointwise()) return "not a 1x1 convolution";
  const bool fits = is_unsigned ? p.lo >= 0 && p.hi <= 255 : p.lo >= -128 && p.hi <= 127;
  return fits ? refuse_fusion(p) : "the codes do not fit";
}

/// The layer over `pixels` pixels as the integer rows take it.
inline IntConvProblem integer_problem(const ConvBnProblem& p, bool is_unsigned, std::int64_t pixels) {
  IntConvProblem problem;
  problem.geometry = p.geometry;
  problem.geometry.n = pixels, problem.geometry.h = 1, problem.geometry.w = 1;
  problem.src = is_unsigned ? DType::u8 : DType::s8;
  problem.z_x = p.zero_point;
  problem.store.dst = DType::f32;
  return problem;
}

inline void multiply_codes(const IntegerRow& row, const ConvBnProblem& p, const std::uint8_t* codes,
                           std::int64_t pixels, const void* packed, float* dst) {
  IntConvPointers io;
  io.src = codes, io.packed = packed, io.dst = dst;
  row.run(integer_problem(p, row.is_unsigned, pixels), io, {});
}

inline void integers_by_chunks(const IntegerRow& row, const ConvBnProblem& p, const ConvBnPointers& io,
                               const Extents& e, const void* packed, const ChunkSums& sums) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k;
  const auto bytes = static_cast<std::size_t>((kPixelBlock + kTileRows) * c);
  parallel_for(e.chunks, [&](std::int64_t chunk) {
    auto* codes = static_cast<std::uint8_t*>(scratch_acquire(bytes));
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), kPixelBlock, [&](std::int64_t first, std::int64_t pixels) {
      quantize_pixels(p, io, pixels, io.src + first * c, codes);
      multiply_codes(row, p, codes, pixels, packed, io.dst + first * k);
      if (wants_statistics(io)) add_statistics(sums, chunk, 0, pixels, k, io.dst + first * k, k);
    });
    scratch_release(codes, bytes);
  });
}

inline void integers_by_columns(const IntegerRow& row, const ConvBnProblem& p, const ConvBnPointers& io,
                                const Extents& e, const void* packed, const ChunkSums& sums) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k, col_blocks = ceil_div(k, kTaskCols);
  constexpr std::int64_t kPixels = 64;
  const auto bytes = static_cast<std::size_t>(e.pixels * c);
  auto* codes = static_cast<std::uint8_t*>(scratch_acquire(bytes));
  parallel_for(ceil_div(e.pixels, kPixels), [&](std::int64_t task) {
    const std::int64_t first = task * kPixels;
    quantize_pixels(p, io, smaller(e.pixels - first, kPixels), io.src + first * c, codes + first * c);
  });
  multiply_codes(row, p, codes, e.pixels, packed, io.dst);
  scratch_release(codes, bytes);
  if (!wants_statistics(io)) return;
  parallel_for(e.chunks * col_blocks, [&](std::int64_t task) {
    const std::int64_t chunk = task / col_blocks, j = task % col_blocks * kTaskCols, first = chunk * e.chunk;
    add_statistics(sums, chunk, j, e.chunk_end(chunk) - first, smaller(k - j, kTaskCols), io.dst + first * k + j, k);
  });
}

inline void conv2d_bn_integer_forward(const IntegerRow& row, const ConvBnProblem& p, const ConvBnPointers& io) {
  const Extents e(p.geometry);
  const IntConvProblem problem = integer_problem(p, row.is_unsigned, e.pixels);
  const std::size_t bytes = row.packed_bytes(problem);
  void* packed = scratch_acquire(bytes);
  IntConvWeights weights;
  weights.weight = io.weight_codes, weights.multiplier = io.multiplier;
  row.pack(problem, weights, packed);
  ChunkSums sums(e.chunks, p.geometry.k);
  e.by_chunks ? integers_by_chunks(row, p, io, e, packed, sums) : integers_by_columns(row, p, io, e, packed, sums);
  if (wants_statistics(io)) sums.store_statistics(e.pixels, io);
  sums.release();
  scratch_release(packed, bytes);
}

}  // namespace

#define OCTET_CONV2D_BN_INTEGER_ROW(dtypes, impl, is_unsigned)                                             \
  const char* conv2d_bn_fwd_##dtypes##_##impl##_why_not(const ConvBnProblem& p) {                          \
    return refuse_integers(p, is_unsigned);                                                                \
  }                                                                                                        \
  void conv2d_bn_fwd_##dtypes##_##impl(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) { \
    conv2d_bn_integer_forward(                                                                             \
        {is_unsigned, conv2d_int8_fwd_##dtypes##_##impl, conv2d_int8_fwd_##dtypes##_##impl##_packed_bytes, \
         conv2d_int8_fwd_##dtypes##_##impl##_pack},                                                        \
        p, io);                                                                                            \
  }

}  // namespace octet::kernels
