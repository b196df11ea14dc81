// Matrix products of f32 in blocks, shared by the vector rows. Every element of C is one FMA chain over the depth in
// order from zero, whatever the tiles and blocks: a block of depth that is not the last leaves partial sums in C, which
// f32 stores exactly. Included after a simd header.
#pragma once
#include "core/allocator.h"
#include "core/parallel.h"
#include "kernels/gemm/tile.inl"
#include "kernels/gemm/transpose.inl"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// A block of B (depth x columns) stays in the second-level cache.
constexpr std::int64_t kDepthBlock = 512, kColBlock = 256;

inline float* acquire_floats(std::int64_t count) {
  return static_cast<float*>(scratch_acquire(static_cast<std::size_t>(count) * sizeof(float)));
}
inline void release_floats(float* p, std::int64_t count) {
  scratch_release(p, static_cast<std::size_t>(count) * sizeof(float));
}

/// Memory that later work will read or write: a product asks for it as it goes, so that it costs no wait. `rows` rows,
/// `step` floats apart, of `lines` cache lines.
struct Ahead {
  const float* from = nullptr;
  std::int64_t step = 0, rows = 0, lines = 1;
};
inline Ahead ahead_of(const float* from, std::int64_t floats) { return {from, kLine, floats / kLine, 1}; }
inline Ahead ahead_of(const float* from, std::int64_t ld, std::int64_t rows, std::int64_t cols) {
  return {from, ld, rows, ceil_div(cols, kLine)};
}

/// C (rows x cols) (+)= A · B.
struct BlockProduct {
  View a{};
  std::int64_t rows = 0, cols = 0, depth = 0;
  const float* b = nullptr;  ///< [depth][cols], rows ldb apart
  std::int64_t ldb = 0;
  float* c = nullptr;
  std::int64_t ldc = 0;
  bool from_zero = true;
  const float* bias = nullptr;        ///< cols, or null
  Ahead ahead[3] = {};                ///< none: the rows of A that come next
  Activation act = Activation::none;  ///< of C, bias included
};

/// Hands out what a product asks for, tile after tile.
class AheadCursor {
 public:
  explicit AheadCursor(const Ahead& first, const Ahead& second = {}, const Ahead& third = {})
      : left_{first, second, third} {}
  /// For a tile that takes `depth` steps; `otherwise` when nothing is left.
  OCTET_SIMD void point(Tile& t, const float* otherwise) {
    while (at_ < kMost && (left_[at_].lines <= 0 || left_[at_].rows <= 0)) ++at_;
    t.ahead = otherwise;
    t.ahead_step = 0;
    if (at_ == kMost) return;
    Ahead& now = left_[at_];
    t.ahead = now.from + row_ * now.step;
    t.ahead_step = now.step;
    row_ += t.depth;
    if (row_ < now.rows) return;
    row_ = 0;
    now.from += kLine;
    --now.lines;
  }

 private:
  static constexpr int kMost = 3;
  Ahead left_[kMost];
  int at_ = 0;
  std::int64_t row_ = 0;
};

template <class Step = F32Step>
inline void multiply_block(const BlockProduct& m) {
  AheadCursor ahead(m.ahead[0], m.ahead[1], m.ahead[2]);
  const bool own_rows = m.a.depth_inner && m.ahead[0].rows + m.ahead[1].rows + m.ahead[2].rows == 0;
  int rows = 0;
  for (std::int64_t i = 0; i < m.rows; i += rows) {
    rows = tile_rows(m.rows - i);
    Tile t{at(m.a, i, 0), m.a.ld, m.b, m.ldb, m.depth, m.c + i * m.ldc, m.ldc, kTileCols, m.from_zero, m.bias, m.act};
    if (own_rows) ahead = AheadCursor(ahead_of(at(m.a, i + rows, 0), i + rows < m.rows ? m.a.ld * kTileRows : 0));
    for (std::int64_t j = 0; j < m.cols; j += kTileCols) {
      t.b = m.b + j;
      t.c = m.c + i * m.ldc + j;
      t.next_c = j + kTileCols < m.cols ? t.c + kTileCols : m.c + (i + rows) * m.ldc;
      t.bias = m.bias != nullptr ? m.bias + j : nullptr;
      t.cols = static_cast<int>(smaller(m.cols - j, kTileCols));
      ahead.point(t, t.b);
      const bool whole = t.cols == kTileCols;
      if (m.a.depth_inner)
        whole ? multiply_tile<Step, true, true>(rows, t) : multiply_tile<Step, true, false>(rows, t);
      else
        whole ? multiply_tile<Step, false, true>(rows, t) : multiply_tile<Step, false, false>(rows, t);
    }
  }
}
/// The same over any depth, a block of it after the other; bias and activation come with the last.
template <class Step = F32Step>
inline void multiply_deep(BlockProduct m) {
  const std::int64_t depth = m.depth, block = even_block(depth, kDepthBlock, 1);
  const float* bias = m.bias;
  const Activation act = m.act;
  const View a = m.a;
  for (std::int64_t k = 0; k < depth; k += block) {
    m.depth = smaller(depth - k, block);
    m.a.data = at(a, 0, k);
    m.bias = k + m.depth == depth ? bias : nullptr;
    m.act = k + m.depth == depth ? act : Activation::none;
    multiply_block<Step>(m);
    m.b += block * m.ldb;
    m.from_zero = false;
    for (Ahead& asked : m.ahead) asked = {};
  }
}

/// The transpose of a weight [cols][depth], in parallel.
inline void transpose_parallel(const float* weight, std::int64_t cols, std::int64_t depth, float* to) {
  parallel_for(ceil_div(cols, kTileCols), [&](std::int64_t i) {
    const std::int64_t first = i * kTileCols;
    transpose_matrix(weight + first * depth, smaller(cols - first, kTileCols), depth, depth, to + first, cols);
  });
}

/// C = A · B (+ bias) in parallel. source.floats(rows) says how much scratch a block of rows needs, source.rows(first,
/// count, scratch) gives it as a View.
struct Product {
  std::int64_t rows, cols, depth;
  const float* b;  ///< [depth][cols], contiguous
  float* c;
  std::int64_t ldc;
  const float* bias;
};
template <class Source>
inline void multiply(const Product& m, const Source& source) {
  if (m.rows == 0 || m.cols == 0) return;
  const std::int64_t col_block = even_block(m.cols, kColBlock, kTileCols), col_blocks = ceil_div(m.cols, col_block);
  // About two million multiplications a task: long against a task's start, short against the whole.
  const std::int64_t wanted = smaller(larger((2 << 20) / (m.depth * col_block), 8 * kTileRows), 1024);
  const std::int64_t row_block = even_block(m.rows, smaller(wanted, source.most_rows()), kTileRows);
  parallel_for(ceil_div(m.rows, row_block) * col_blocks, [&](std::int64_t task) {
    const std::int64_t i = task / col_blocks * row_block, j = task % col_blocks * col_block;
    const std::int64_t rows = smaller(m.rows - i, row_block);
    const std::size_t bytes = static_cast<std::size_t>(source.floats(rows)) * sizeof(float);
    auto* scratch = static_cast<float*>(bytes == 0 ? nullptr : scratch_acquire(bytes));
    multiply_deep({source.rows(i, rows, scratch), rows, smaller(m.cols - j, col_block), m.depth, m.b + j, m.cols,
                   m.c + i * m.ldc + j, m.ldc, true, m.bias != nullptr ? m.bias + j : nullptr});
    if (scratch != nullptr) scratch_release(scratch, bytes);
  });
}

/// Rows up to which a product is cut by columns alone, each task transposing the filters that it needs: the whole
/// transpose would cost a trip through memory that few rows do not pay back.
constexpr std::int64_t kFewRows = 1024;

/// C = A · Wᵀ (+ bias) for few rows: `a` as it lies, weight [cols][depth].
inline void multiply_few_rows(const Product& m, const View& a, const float* weight) {
  parallel_for(ceil_div(m.cols, kTileCols), [&](std::int64_t task) {
    const std::int64_t j = task * kTileCols, cols = smaller(m.cols - j, kTileCols), floats = kTileCols * m.depth;
    float* b = acquire_floats(floats);
    transpose_matrix(weight + j * m.depth, cols, m.depth, m.depth, b, kTileCols);
    multiply_deep(
        {a, m.rows, cols, m.depth, b, kTileCols, m.c + j, m.ldc, true, m.bias != nullptr ? m.bias + j : nullptr});
    release_floats(b, floats);
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
