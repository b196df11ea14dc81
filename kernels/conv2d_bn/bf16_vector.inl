// conv2d_bn with operands in bf16: pairs of neighbours along the depth take the place of an f32 in tiles and blocks
// (gemm/tile.inl), so that a step of the depth adds two products. The tasks are those of conv2d_bn_vector.inl. Included
// after simd_avx512.h and conv2d_bn_vector.inl by a file with VDPBF16PS.
#pragma once
#include "core/bf16.h"

namespace octet::kernels {
namespace {

/// Both products of a pair, added to a sum of f32.
struct Bf16Step {
  OCTET_SIMD static VecF add(VecF a, VecF b, VecF sum) {
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_castps_si512(a.v), (__m512bh)_mm512_castps_si512(b.v))};
  }
};
OCTET_SIMD __m256i to_bf16(VecF v) { return (__m256i)_mm512_cvtneps_pbh(v.v); }

/// Floats that `count` values take as bf16.
inline std::int64_t bf16_floats(std::int64_t count) { return ceil_div(count, 2); }

/// Rows of `cols` values (an even number) as bf16: pairs of neighbours in a row. to has rows cols / 2 floats apart.
inline void round_rows(const float* from, std::int64_t ld, std::int64_t rows, std::int64_t cols, float* to) {
  for (std::int64_t i = 0; i < rows; ++i) {
    auto* out = reinterpret_cast<std::uint16_t*>(to + i * (cols / 2));
    for_vectors(0, cols, [&](std::int64_t j, auto part) {
      const __m256i v = to_bf16(load(from + i * ld + j, part));
      _mm256_mask_storeu_epi16(out + j, first_lanes16(lanes_of(part)), v);
    });
  }
}
/// Pairs of neighbours in a column: row i of `to` holds rows 2i and 2i + 1, zeros beyond the last.
inline void pair_rows(const float* from, std::int64_t ld, std::int64_t rows, std::int64_t cols, float* to) {
  for (std::int64_t i = 0; i < rows; i += 2) {
    const float *first = from + i * ld, *second = first + ld;
    float* out = to + i / 2 * cols;
    for_vectors(0, cols, [&](std::int64_t j, auto part) {
      const VecF below = i + 1 < rows ? load(second + j, part) : VecF::zero();
      const __m512i low = _mm512_cvtepu16_epi32(to_bf16(load(first + j, part)));
      const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(to_bf16(below)), 16);
      store(VecF{_mm512_castsi512_ps(_mm512_or_si512(low, high))}, out + j, part);
    });
  }
}
/// The same in parallel, `block` rows (an even number) to a task.
inline void pair_rows_parallel(const float* from, std::int64_t rows, std::int64_t cols, float* to) {
  constexpr std::int64_t kBlockRows = 32;
  parallel_for(ceil_div(rows, kBlockRows), [&](std::int64_t task) {
    const std::int64_t i = task * kBlockRows;
    pair_rows(from + i * cols, cols, smaller(rows - i, kBlockRows), cols, to + i / 2 * cols);
  });
}

inline const char* refuse_bf16(const ConvBnProblem& p) {
  if (!can_dot_bf16()) return "the processor, or OCTET_ISA, has no dot product of bf16";
  if (!p.geometry.is_pointwise()) return "not a 1x1 convolution";
  return p.geometry.c % 2 == 0 && p.geometry.k % 2 == 0 ? refuse_fusion(p) : "an odd number of channels";
}

/// Rows of the mapped source in f32: as they lie, or in `scratch`.
inline const float* f32_source(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first,
                               std::int64_t pixels, float* scratch) {
  return source_rows(p, io, first, pixels, scratch).data;
}

/// The transpose of filters [j, j + cols), as pairs of the depth: [c / 2][ld].
inline void transpose_filters(const ConvBnPointers& io, std::int64_t c, std::int64_t j, std::int64_t cols,
                              float* scratch, float* to, std::int64_t ld) {
  round_rows(io.weight + j * c, c, cols, c, scratch);
  transpose_matrix(scratch, cols, c / 2, c / 2, to, ld);
}

inline void bf16_forward_by_chunks(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                   const ChunkSums& sums) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k, block = forward_block(e), rows = block + kTileRows;
  float* b = acquire_floats(k * c);
  transpose_filters(io, c, 0, k, b + k * c / 2, b, k);
  parallel_for(e.chunks, [&](std::int64_t chunk) {
    const std::int64_t x_floats = source_floats(p, rows), floats = x_floats + bf16_floats(rows * c);
    float *scratch = acquire_floats(floats), *x16 = scratch + x_floats;
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), block, [&](std::int64_t first, std::int64_t pixels) {
      float* dst = io.dst + first * k;
      round_rows(f32_source(p, io, first, pixels, scratch), c, pixels, c, x16);
      const std::int64_t next = smaller(e.pixels - first - pixels, pixels);
      multiply_deep<Bf16Step>({{x16, c / 2, true},
                               pixels,
                               k,
                               c / 2,
                               b,
                               k,
                               dst,
                               k,
                               true,
                               nullptr,
                               {ahead_of(io.src + (first + pixels) * c, next * c), {}, {}}});
      if (wants_statistics(io)) add_statistics(sums, chunk, 0, pixels, k, dst, k);
    });
    release_floats(scratch, floats);
  });
  release_floats(b, k * c);
}

inline void bf16_forward_by_columns(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                    const ChunkSums& sums) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k, col_blocks = ceil_div(k, kTaskCols), half = c / 2;
  constexpr std::int64_t kPixels = 64;
  float* x16 = acquire_floats(e.pixels * half);
  parallel_for(ceil_div(e.pixels, kPixels), [&](std::int64_t task) {
    const std::int64_t first = task * kPixels, pixels = smaller(e.pixels - first, kPixels),
                       floats = source_floats(p, kPixels);
    float* scratch = acquire_or_null(floats);
    round_rows(f32_source(p, io, first, pixels, scratch), c, pixels, c, x16 + first * half);
    release_if(scratch, floats);
  });
  parallel_for(e.chunks * col_blocks, [&](std::int64_t task) {
    const std::int64_t chunk = task / col_blocks, j = task % col_blocks * kTaskCols, cols = smaller(k - j, kTaskCols);
    float* b = acquire_floats(2 * kTaskCols * half);
    transpose_filters(io, c, j, cols, b + kTaskCols * half, b, kTaskCols);
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), 256, [&](std::int64_t first, std::int64_t pixels) {
      float* dst = io.dst + first * k + j;
      multiply_deep<Bf16Step>(
          {{x16 + first * half, half, true}, pixels, cols, half, b, kTaskCols, dst, k, true, nullptr});
      if (wants_statistics(io)) add_statistics(sums, chunk, j, pixels, cols, dst, k);
    });
    release_floats(b, 2 * kTaskCols * half);
  });
  release_floats(x16, e.pixels * half);
}

inline void conv2d_bn_bf16_forward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Extents e(p.geometry);
  ChunkSums sums(e.chunks, p.geometry.k);
  e.by_chunks ? bf16_forward_by_chunks(p, io, e, sums) : bf16_forward_by_columns(p, io, e, sums);
  if (wants_statistics(io)) sums.store_statistics(e.pixels, io);
  sums.release();
}

/// d in both orders and the mapped source in one, for `pixels` from `first` (an even number).
struct Bf16Operands {
  float *d_rows, *d_pairs, *x_pairs;
};
inline void load_bf16(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first, std::int64_t pixels,
                      float* scratch, const Bf16Operands& to) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k;
  const float* d = whole_gradient(p, io, first, pixels, scratch);
  if (io.d_src != nullptr) round_rows(d, k, pixels, k, to.d_rows);
  if (io.d_weight == nullptr) return;
  pair_rows(d, k, pixels, k, to.d_pairs);
  pair_rows(f32_source(p, io, first, pixels, scratch), c, pixels, c, to.x_pairs);
}
/// Floats of scratch that load_bf16() needs.
inline std::int64_t bf16_scratch(const ConvBnProblem& p, std::int64_t pixels) {
  return pixels * larger(p.geometry.c, p.geometry.k);
}

inline void bf16_backward_by_chunks(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                    const MapGradient& through, const float* weight) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k, count = k * c;
  const std::int64_t part_floats = io.d_weight != nullptr ? larger(e.chunks - 1, 1) * count : 0;
  float* parts = acquire_or_null(part_floats);
  constexpr std::int64_t kRows = kPixelBlock + kTileRows;
  parallel_for(e.chunks, [&](std::int64_t chunk) {
    const std::int64_t scratch_floats = bf16_scratch(p, kRows), floats = scratch_floats + kRows * (k + c + c) + 64;
    float* scratch = acquire_floats(floats);
    const Bf16Operands to{scratch + scratch_floats, scratch + scratch_floats + kRows * k / 2,
                          scratch + scratch_floats + kRows * k};
    float* d_x = to.x_pairs + kRows * c;
    float* d_weight = chunk == 0 || parts == nullptr ? io.d_weight : parts + (chunk - 1) * count;
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), kPixelBlock, [&](std::int64_t first, std::int64_t pixels) {
      load_bf16(p, io, first, pixels, scratch, to);
      const std::int64_t next = smaller(e.chunk_end(chunk) - first - pixels, pixels), at = first + pixels;
      if (d_weight != nullptr)
        multiply_block<Bf16Step>({{to.d_pairs, k, false},
                                  k,
                                  c,
                                  ceil_div(pixels, 2),
                                  to.x_pairs,
                                  c,
                                  d_weight,
                                  c,
                                  first == chunk * e.chunk,
                                  nullptr,
                                  {ahead_of(io.d_dst + at * k, next * k), ahead_of(io.src + at * c, next * c), {}}});
      if (io.d_src == nullptr) return;
      float *d_src = io.d_src + first * c, *into = maps(p) ? d_x : d_src;
      multiply_deep<Bf16Step>({{to.d_rows, k / 2, true},
                               pixels,
                               c,
                               k / 2,
                               weight,
                               c,
                               into,
                               c,
                               true,
                               nullptr,
                               {ahead_of(io.z_dst + at * k, io.slope != nullptr ? next * k : 0), {}, {}}});
      if (maps(p)) gradient_through_map(p, io, through, chunk, 0, pixels, c, d_x, c, io.src + first * c, d_src, c);
    });
    release_floats(scratch, floats);
  });
  if (parts != nullptr) add_parts(parts, e.chunks - 1, count, io.d_weight);
  release_if(parts, part_floats);
}

/// Task of the weight gradient: a block of it, over all pixels.
inline void bf16_weight_block(const WeightTasks& w, std::int64_t task, std::int64_t pixels,
                              const Bf16Operands& operands, float* d_weight) {
  const std::int64_t i = task % w.row_tasks * w.row_block, j = task / w.row_tasks * w.col_block;
  const std::int64_t rows = smaller(w.rows - i, w.row_block), cols = smaller(w.cols - j, w.col_block);
  const std::int64_t pairs = ceil_div(pixels, 2);
  for (std::int64_t at = 0; at < pairs; at += kPixelBlock) {
    const std::int64_t depth = smaller(pairs - at, kPixelBlock), next = smaller(pairs - at - depth, kPixelBlock);
    const float *d = operands.d_pairs + at * w.rows + i, *x = operands.x_pairs + at * w.cols + j;
    multiply_block<Bf16Step>(
        {{d, w.rows, false},
         rows,
         cols,
         depth,
         x,
         w.cols,
         d_weight + i * w.cols + j,
         w.cols,
         at == 0,
         nullptr,
         {ahead_of(d + depth * w.rows, w.rows, next, rows), ahead_of(x + depth * w.cols, w.cols, next, cols), {}}});
  }
}

inline void bf16_backward_by_columns(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                     const MapGradient& through, const float* weight) {
  const std::int64_t c = p.geometry.c, k = p.geometry.k, even = ceil_div(e.pixels, 2) * 2;
  constexpr std::int64_t kPixels = 64;
  const std::int64_t floats = even * k + even * c / 2;
  float* memory = acquire_floats(floats);
  const Bf16Operands to{memory, memory + even * k / 2, memory + even * k};
  parallel_for(ceil_div(e.pixels, kPixels), [&](std::int64_t task) {
    const std::int64_t first = task * kPixels, scratch_floats = bf16_scratch(p, kPixels);
    float* scratch = acquire_floats(scratch_floats);
    load_bf16(p, io, first, smaller(e.pixels - first, kPixels), scratch,
              {to.d_rows + first * k / 2, to.d_pairs + first * k / 2, to.x_pairs + first * c / 2});
    release_floats(scratch, scratch_floats);
  });
  const WeightTasks w(k, c);
  const std::int64_t weight_tasks = io.d_weight != nullptr ? w.tasks : 0;
  const std::int64_t source_tasks = io.d_src != nullptr ? e.chunks * ceil_div(c, kTaskCols) : 0;
  parallel_for(weight_tasks + source_tasks, [&](std::int64_t task) {
    if (task < weight_tasks)
      bf16_weight_block(w, task, e.pixels, to, io.d_weight);
    else
      source_gradient_block<Bf16Step>(p, io, e, through, task - weight_tasks, {to.d_rows, k / 2, true}, weight);
  });
  release_floats(memory, floats);
}

inline void conv2d_bn_bf16_backward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Extents e(p.geometry);
  const std::int64_t c = p.geometry.c, k = p.geometry.k;
  MapGradient through{ChunkSums(e.chunks, c), gate_of(p, io.step)};
  float* weight = acquire_floats(bf16_floats(k * c));
  if (io.d_src != nullptr) pair_rows_parallel(io.weight, k, c, weight);
  e.by_chunks ? bf16_backward_by_chunks(p, io, e, through, weight)
              : bf16_backward_by_columns(p, io, e, through, weight);
  if (io.d_src != nullptr && p.mapped) through.sums.store_affine_gradient(io);
  release_floats(weight, bf16_floats(k * c));
  through.sums.release();
}

}  // namespace

#define OCTET_CONV2D_BN_BF16_ROWS(impl)                                                              \
  const char* conv2d_bn_fwd_bf16_##impl##_why_not(const ConvBnProblem& p) { return refuse_bf16(p); } \
  void conv2d_bn_fwd_bf16_##impl(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) { \
    conv2d_bn_bf16_forward(p, io);                                                                   \
  }                                                                                                  \
  const char* conv2d_bn_bwd_bf16_##impl##_why_not(const ConvBnProblem& p) { return refuse_bf16(p); } \
  void conv2d_bn_bwd_bf16_##impl(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) { \
    conv2d_bn_bf16_backward(p, io);                                                                  \
  }

}  // namespace octet::kernels
