// conv2d on vectors: a 1x1 convolution is a matrix product over the pixels; others go by columns (kernels/im2col).
// Included after a simd header; the order of summation is conv2d.h's.
#pragma once
#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/column_sums.inl"
#include "kernels/gemm/gemm.inl"
#include "kernels/im2col/im2col.h"

namespace octet::kernels {
namespace {

/// Rows of the column matrix, made when a task needs them.
struct ColumnRows {
  const ConvGeometry& g;
  const float* src;
  std::int64_t depth;
  std::int64_t most_rows() const { return larger((128 << 10) / depth, 2 * kTileRows); }  // half a MiB of columns
  std::int64_t floats(std::int64_t rows) const { return rows * depth; }
  View rows(std::int64_t first, std::int64_t count, float* scratch) const {
    im2col(g, src, first, count, {0, g.r * g.s}, 0.0f, scratch, depth);
    return {scratch, depth, true};
  }
};

inline void conv2d_forward(const ConvGeometry& g, const Conv2dPointers& io) {
  const std::int64_t depth = g.r * g.s * g.c, size = g.k * depth;
  Product product{g.out_pixels(), g.k, depth, nullptr, floats(io.dst), g.k, floats(io.bias)};
  if (g.is_pointwise() && product.rows <= kFewRows && product.rows > 0)
    return multiply_few_rows(product, {floats(io.src), g.c, true}, floats(io.weight));
  float* b = acquire_floats(size);
  transpose_parallel(floats(io.weight), g.k, depth, b);
  product.b = b;
  if (g.is_pointwise())
    multiply(product, DirectRows{{floats(io.src), g.c, true}});
  else
    multiply(product, ColumnRows{g, floats(io.src), depth});
  release_floats(b, size);
}

/// d_src from column gradients, a group of pictures at a time so that the columns stay in the cache.
inline void gather_gradients(const ConvGeometry& g, const float* d_dst, const float* weight, float* d_src) {
  const std::int64_t map = g.out_h() * g.out_w(), cols = g.r * g.s * g.c;
  const std::int64_t group = smaller(larger((2 << 20) / (map * cols), 1), larger(g.n, 1)), size = group * map * cols;
  float* columns = acquire_floats(size);
  for (std::int64_t n = 0; n < g.n; n += group) {
    const std::int64_t pictures = smaller(g.n - n, group);
    multiply({pictures * map, cols, g.k, weight, columns, cols, nullptr},
             DirectRows{{d_dst + n * map * g.k, g.k, true}});
    parallel_for(pictures * g.h, [&](std::int64_t row) {
      col2im_row(g, columns + row / g.h * map * cols, row % g.h, d_src + (n * g.h + row) * g.w * g.c);
    });
  }
  release_floats(columns, size);
}

/// The weight lies as the product wants it: rows of the depth k.
inline void conv2d_backward_data(const ConvGeometry& g, const Conv2dPointers& io) {
  if (g.is_pointwise())
    multiply({g.out_pixels(), g.c, g.k, floats(io.weight), floats(io.d_src), g.c, nullptr},
             DirectRows{{floats(io.d_dst), g.k, true}});
  else
    gather_gradients(g, floats(io.d_dst), floats(io.weight), floats(io.d_src));
}

/// Pixels whose products a tile of the weight gradient sums before it goes back to memory.
constexpr std::int64_t kPixelBlock = 256;

/// The weight gradient cut into blocks: rows are filters; columns are whole taps, or channels when there is but one.
struct WeightBlocks {
  std::int64_t inner, row_block, row_blocks, col_block, col_blocks;
  explicit WeightBlocks(const ConvGeometry& g)
      : inner(g.r * g.s * g.c),
        row_block(even_block(g.k, 11 * kTileRows, kTileRows)),
        row_blocks(ceil_div(g.k, row_block)),
        col_block(g.is_pointwise() ? even_block(g.c, 256, kTileCols) : larger(256 / g.c, 1) * g.c),
        col_blocks(ceil_div(inner, col_block)) {}
};

/// Block (rows from i, columns from j) of d_weight, summed over output pixels [first, end) in order, into c.
struct WeightBlock {
  std::int64_t i, rows, j, cols, first, end;
  float* c;
  std::int64_t ldc;
};
inline void sum_weight_block(const ConvGeometry& g, const Conv2dPointers& io, const WeightBlock& m) {
  const std::int64_t size = g.is_pointwise() ? 0 : kPixelBlock * m.cols;
  float* columns = size == 0 ? nullptr : acquire_floats(size);
  for (std::int64_t pixel = m.first; pixel < m.end; pixel += kPixelBlock) {
    const std::int64_t depth = smaller(m.end - pixel, kPixelBlock);
    const float* b = floats(io.src) + pixel * g.c + m.j;
    if (columns != nullptr) {
      im2col(g, floats(io.src), pixel, depth, {m.j / g.c, (m.j + m.cols) / g.c}, 0.0f, columns, m.cols);
      b = columns;
    }
    const std::int64_t next = smaller(m.end - pixel - depth, kPixelBlock);
    const Ahead next_d = ahead_of(floats(io.d_dst) + (pixel + depth) * g.k + m.i, g.k, next, m.rows);
    const Ahead next_x = ahead_of(b + depth * g.c, g.c, columns == nullptr ? next : 0, m.cols);
    multiply_block({{floats(io.d_dst) + pixel * g.k + m.i, g.k, false},
                    m.rows,
                    m.cols,
                    depth,
                    b,
                    columns != nullptr ? m.cols : g.c,
                    m.c,
                    m.ldc,
                    pixel == m.first,
                    nullptr,
                    {next_d, next_x}});
  }
  if (columns != nullptr) release_floats(columns, size);
}

/// One task per block: its chunks one after the other.
inline void sum_chunks_in_turn(const ConvGeometry& g, const Conv2dPointers& io, const WeightBlocks& blocks,
                               std::int64_t pixels, std::int64_t chunk) {
  parallel_for(blocks.row_blocks * blocks.col_blocks, [&](std::int64_t task) {
    WeightBlock m;
    m.i = task / blocks.col_blocks * blocks.row_block;
    m.j = task % blocks.col_blocks * blocks.col_block;
    m.rows = smaller(g.k - m.i, blocks.row_block);
    m.cols = smaller(blocks.inner - m.j, blocks.col_block);
    float* total = floats(io.d_weight) + m.i * blocks.inner + m.j;
    float* part = acquire_floats(m.rows * m.cols);
    for (m.first = 0; m.first < pixels; m.first += chunk) {
      m.end = smaller(m.first + chunk, pixels);
      m.c = m.first == 0 ? total : part;
      m.ldc = m.first == 0 ? blocks.inner : m.cols;
      sum_weight_block(g, io, m);
      if (m.first == 0) continue;
      for (std::int64_t i = 0; i < m.rows; ++i)
        for (std::int64_t j = 0; j < m.cols; ++j) total[i * blocks.inner + j] += part[i * m.cols + j];
    }
    release_floats(part, m.rows * m.cols);
  });
}

/// One task per block and chunk; then the chunks are added.
inline void sum_chunks_at_once(const ConvGeometry& g, const Conv2dPointers& io, const WeightBlocks& blocks,
                               std::int64_t pixels, std::int64_t chunk) {
  const std::int64_t chunks = ceil_div(pixels, chunk), tiles = blocks.row_blocks * blocks.col_blocks;
  const std::int64_t count = g.k * blocks.inner, size = larger(chunks - 1, 1) * count;
  float* parts = acquire_floats(size);
  parallel_for(chunks * tiles, [&](std::int64_t task) {
    const std::int64_t part = task / tiles, tile = task % tiles;
    WeightBlock m;
    m.i = tile / blocks.col_blocks * blocks.row_block;
    m.j = tile % blocks.col_blocks * blocks.col_block;
    m.rows = smaller(g.k - m.i, blocks.row_block);
    m.cols = smaller(blocks.inner - m.j, blocks.col_block);
    m.first = part * chunk;
    m.end = smaller(m.first + chunk, pixels);
    m.c = (part == 0 ? floats(io.d_weight) : parts + (part - 1) * count) + m.i * blocks.inner + m.j;
    m.ldc = blocks.inner;
    sum_weight_block(g, io, m);
  });
  add_parts(parts, chunks - 1, count, floats(io.d_weight));
  release_floats(parts, size);
}

inline void conv2d_backward_weight(const ConvGeometry& g, const Conv2dPointers& io) {
  const std::int64_t pixels = g.out_pixels(), chunk = reduction_chunk(pixels);
  const WeightBlocks blocks(g);
  if (pixels == 0) {
    for (std::int64_t i = 0; i < g.k * blocks.inner; ++i) floats(io.d_weight)[i] = 0;
  } else if (blocks.row_blocks * blocks.col_blocks >= 8 || chunk >= pixels) {
    sum_chunks_in_turn(g, io, blocks, pixels, chunk);
  } else {
    sum_chunks_at_once(g, io, blocks, pixels, chunk);
  }
  if (io.d_bias != nullptr) column_sums(floats(io.d_dst), pixels, g.k, floats(io.d_bias));
}

}  // namespace

#define OCTET_CONV2D_ROW(pass, impl, run)                                           \
  const char* pass##_f32_##impl##_why_not(const Conv2dProblem&) { return nullptr; } \
  void pass##_f32_##impl(const Conv2dProblem& g, const Conv2dPointers& io, const Context&) { run(g, io); }
#define OCTET_CONV2D_ROWS(impl)                                 \
  OCTET_CONV2D_ROW(conv2d_fwd, impl, conv2d_forward)            \
  OCTET_CONV2D_ROW(conv2d_bwd_data, impl, conv2d_backward_data) \
  OCTET_CONV2D_ROW(conv2d_bwd_weight, impl, conv2d_backward_weight)

}  // namespace octet::kernels
