// Matrix products of f32 in register tiles, shared by the vector rows. Included after simd_avx2.h or simd_avx512.h.
// Every element of C is one FMA chain over the depth in order from zero, whatever the tiles and blocks: a block of
// depth that is not the last leaves partial sums in C, which f32 stores exactly.
#pragma once
#include <cstdint>

#include "core/allocator.h"
#include "core/parallel.h"
#include "kernels/gemm/extents.h"

namespace octet::kernels {
namespace {

/// Register tile: 12x32 (AVX-512, 24 of 32 registers hold sums), 6x16 (AVX2, 12 of 16).
constexpr int kTileRows = VecF::width == 16 ? 12 : 6;
constexpr int kTileVecs = 2;
constexpr int kTileCols = kTileVecs * VecF::width;
/// Depth of a block: a packed tile of A (kTileRows · depth) stays in the first-level cache.
constexpr std::int64_t kDepthBlock = 256;

/// A matrix to pack: element (i, k), k along the depth, is at i·ld + k when depth_inner, else at k·ld + i.
struct View {
  const float* data;
  std::int64_t ld;
  bool depth_inner;
};
inline const float* at(const View& m, std::int64_t i, std::int64_t k) {
  return m.depth_inner ? m.data + i * m.ld + k : m.data + k * m.ld + i;
}

/// A square of pack_depth_inner: rows i0 … of R, `lanes` of the depth. Known to be whole, it has no branch.
template <int R, bool Whole>
OCTET_SIMD void pack_square(const float* from, std::int64_t ld, int rows, int i0, int lanes, float* to) {
  constexpr int W = VecF::width;
  constexpr int kRows = R < W ? R : W;
  VecF t[W];
  OCTET_UNROLL
  for (int i = 0; i < W; ++i) {
    const float* p = from + (i0 + i) * ld;
    if constexpr (Whole)
      t[i] = i < kRows ? VecF::load(p) : VecF::zero();
    else
      t[i] = i < kRows && i0 + i < rows ? VecF::load(p, lanes) : VecF::zero();
  }
  transpose(t);
  OCTET_UNROLL
  for (int j = 0; j < W; ++j)
    if (Whole || j < lanes) t[j].store(to + j * R + i0);
}

/// to[k·R + i] = from[i·ld + k] for i < rows, zero up to R. When R < width, the last store writes beyond R·depth, up to
/// a vector in all.
template <int R>
inline void pack_depth_inner(const float* from, std::int64_t ld, int rows, std::int64_t depth, float* to) {
  constexpr int W = VecF::width;
  static_assert(R % W == 0 || R < W, "a store must not run into rows packed before");
  for (std::int64_t k = 0; k < depth; k += W, from += W, to += W * R) {
    const int lanes = static_cast<int>(smaller(depth - k, W));
    for (int i0 = 0; i0 < R; i0 += W) {
      if (lanes == W && rows == R)
        pack_square<R, true>(from, ld, rows, i0, lanes, to);
      else
        pack_square<R, false>(from, ld, rows, i0, lanes, to);
    }
  }
}

/// to[k·R + i] = from[k·ld + i] for i < rows, zero up to R; stores as above.
template <int R>
inline void pack_depth_outer(const float* from, std::int64_t ld, int rows, std::int64_t depth, float* to) {
  constexpr int W = VecF::width;
  for (std::int64_t k = 0; k < depth; ++k)
    for (int i0 = 0; i0 < R; i0 += W) {
      const int lanes = static_cast<int>(smaller(rows - i0, R - i0));
      const float* p = from + k * ld + i0;
      (lanes >= W ? VecF::load(p) : lanes <= 0 ? VecF::zero() : VecF::load(p, lanes)).store(to + k * R + i0);
    }
}

template <int R>
inline void pack_panel(const View& m, std::int64_t i, int rows, std::int64_t k, std::int64_t depth, float* to) {
  if (m.depth_inner)
    pack_depth_inner<R>(at(m, i, k), m.ld, rows, depth, to);
  else
    pack_depth_outer<R>(at(m, i, k), m.ld, rows, depth, to);
}

/// Floats of B packed into panels of kTileCols columns, panel j at j · depth · kTileCols.
inline std::int64_t packed_floats(std::int64_t cols, std::int64_t depth) {
  return ceil_div(cols, kTileCols) * kTileCols * depth;
}
/// Panel j of B = m(column, depth).
inline void pack_b_panel(const View& m, std::int64_t cols, std::int64_t depth, std::int64_t j, float* packed) {
  const int valid = static_cast<int>(smaller(cols - j * kTileCols, kTileCols));
  pack_panel<kTileCols>(m, j * kTileCols, valid, 0, depth, packed + j * depth * kTileCols);
}
/// All panels, row after row of the depth, which reads depth-outer matrices in the order of memory.
inline void pack_b(const View& m, std::int64_t cols, std::int64_t depth, float* packed) {
  const std::int64_t panels = ceil_div(cols, kTileCols);
  if (m.depth_inner) {
    for (std::int64_t j = 0; j < panels; ++j) pack_b_panel(m, cols, depth, j, packed);
    return;
  }
  for (std::int64_t k = 0; k < depth; ++k)
    for (std::int64_t j = 0; j < panels; ++j) {
      const int valid = static_cast<int>(smaller(cols - j * kTileCols, kTileCols));
      pack_depth_outer<kTileCols>(at(m, j * kTileCols, k), m.ld, valid, 1, packed + (j * depth + k) * kTileCols);
    }
}

/// What a tile does beside multiplying: which part of it lies in C, whether sums start at zero, the bias to add.
struct TileEdge {
  int rows, cols;
  bool from_zero;
  const float* bias;  ///< for these columns, or null
};

/// C tile (+)= A tile · B panel over `depth`; a is packed [depth][kTileRows], b [depth][kTileCols].
inline void multiply_tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t ldc,
                          const TileEdge& edge) {
  constexpr int W = VecF::width;
  const bool whole = edge.cols == kTileCols;
  // The tile of C is asked for now, to be there when the sums are.
  OCTET_UNROLL
  for (int i = 0; i < kTileRows; ++i)
    if (i < edge.rows)
      for (int j = 0; j < edge.cols; j += 16) __builtin_prefetch(c + i * ldc + j, 1);
  VecF sum[kTileRows][kTileVecs];
  OCTET_UNROLL
  for (int i = 0; i < kTileRows; ++i) OCTET_UNROLL
  for (int v = 0; v < kTileVecs; ++v) sum[i][v] = VecF::zero();
  int lanes[kTileVecs];
  OCTET_UNROLL
  for (int v = 0; v < kTileVecs; ++v) lanes[v] = static_cast<int>(smaller(larger(edge.cols - v * W, 0), W));
  if (!edge.from_zero) {
    OCTET_UNROLL
    for (int i = 0; i < kTileRows; ++i)
      if (i < edge.rows) {
        OCTET_UNROLL
        for (int v = 0; v < kTileVecs; ++v)
          sum[i][v] = whole ? VecF::load(c + i * ldc + v * W) : VecF::load(c + i * ldc + v * W, lanes[v]);
      }
  }
  for (std::int64_t k = 0; k < depth; ++k, a += kTileRows, b += kTileCols) {
    VecF bv[kTileVecs];
    OCTET_UNROLL
    for (int v = 0; v < kTileVecs; ++v) bv[v] = VecF::load(b + v * W);
    OCTET_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      const VecF ai = VecF::set1(a[i]);
      OCTET_UNROLL
      for (int v = 0; v < kTileVecs; ++v) sum[i][v] = fma(ai, bv[v], sum[i][v]);
    }
  }
  if (edge.bias != nullptr) {
    OCTET_UNROLL
    for (int v = 0; v < kTileVecs; ++v) {
      const VecF bias = VecF::load(edge.bias + v * W, lanes[v]);
      OCTET_UNROLL
      for (int i = 0; i < kTileRows; ++i) sum[i][v] = sum[i][v] + bias;
    }
  }
  OCTET_UNROLL
  for (int i = 0; i < kTileRows; ++i)
    if (i < edge.rows) {
      OCTET_UNROLL
      for (int v = 0; v < kTileVecs; ++v) {
        if (whole)
          sum[i][v].store(c + i * ldc + v * W);
        else
          sum[i][v].store(c + i * ldc + v * W, lanes[v]);
      }
    }
}

/// A product of one block of depth (at most kDepthBlock): C (rows x cols) (+)= A · B. Panel j of B is at
/// j · panel_stride.
struct BlockProduct {
  View a;
  std::int64_t rows, cols, depth;
  const float* b;
  std::int64_t panel_stride;
  float* c;
  std::int64_t ldc;
  bool from_zero;
  const float* bias;
};
inline void multiply_block(const BlockProduct& m) {
  alignas(64) float tile[kDepthBlock * kTileRows + VecF::width];
  for (std::int64_t i = 0; i < m.rows; i += kTileRows) {
    TileEdge edge{static_cast<int>(smaller(m.rows - i, kTileRows)), 0, m.from_zero, nullptr};
    pack_panel<kTileRows>(m.a, i, edge.rows, 0, m.depth, tile);
    if (m.a.depth_inner)  // the next tile, while this one is multiplied
      prefetch_rows(at(m.a, i + kTileRows, 0), m.a.ld, smaller(m.rows - i - kTileRows, kTileRows), m.depth);
    for (std::int64_t j = 0; j * kTileCols < m.cols; ++j) {
      edge.cols = static_cast<int>(smaller(m.cols - j * kTileCols, kTileCols));
      edge.bias = m.bias != nullptr ? m.bias + j * kTileCols : nullptr;
      multiply_tile(tile, m.b + j * m.panel_stride, m.depth, m.c + i * m.ldc + j * kTileCols, m.ldc, edge);
    }
  }
}

/// C = A · B (+ bias) in parallel; B is packed whole. source.floats(rows) says how much scratch a block of rows needs,
/// source.rows(first, count, scratch) gives it as a View.
struct Product {
  std::int64_t rows, cols, depth;
  const float* packed_b;
  float* c;
  std::int64_t ldc;
  const float* bias;
};
template <class Source>
inline void multiply(const Product& m, const Source& source) {
  if (m.rows == 0 || m.cols == 0) return;
  const std::int64_t col_block = even_block(m.cols, 256, kTileCols), col_blocks = ceil_div(m.cols, col_block);
  // About two million multiplications a task: long against a task's start, short against the whole.
  const std::int64_t wanted = smaller(larger((2 << 20) / (m.depth * col_block), 8 * kTileRows), 1024);
  const std::int64_t row_block = even_block(m.rows, smaller(wanted, source.most_rows()), kTileRows);
  const std::int64_t depth_block = even_block(m.depth, kDepthBlock, 1);
  parallel_for(ceil_div(m.rows, row_block) * col_blocks, [&](std::int64_t task) {
    const std::int64_t i = task / col_blocks * row_block, j = task % col_blocks * col_block;
    const std::int64_t rows = smaller(m.rows - i, row_block);
    const std::size_t bytes = static_cast<std::size_t>(source.floats(rows)) * sizeof(float);
    auto* scratch = static_cast<float*>(bytes == 0 ? nullptr : scratch_acquire(bytes));
    const View a = source.rows(i, rows, scratch);
    for (std::int64_t k = 0; k < m.depth; k += depth_block) {
      const std::int64_t depth = smaller(m.depth - k, depth_block);
      const bool last = k + depth == m.depth;
      multiply_block({{at(a, 0, k), a.ld, a.depth_inner},
                      rows,
                      smaller(m.cols - j, col_block),
                      depth,
                      m.packed_b + j * m.depth + k * kTileCols,
                      m.depth * kTileCols,
                      m.c + i * m.ldc + j,
                      m.ldc,
                      k == 0,
                      last && m.bias != nullptr ? m.bias + j : nullptr});
    }
    if (scratch != nullptr) scratch_release(scratch, bytes);
  });
}

/// Rows of a matrix in memory.
struct DirectRows {
  View a;
  std::int64_t most_rows() const { return 1 << 20; }
  std::int64_t floats(std::int64_t) const { return 0; }
  View rows(std::int64_t first, std::int64_t, float*) const { return {at(a, first, 0), a.ld, a.depth_inner}; }
};

}  // namespace
}  // namespace octet::kernels
