// conv2d_bn on vectors. Early layers, with many pixels and few channels, are cut by reduction chunks: a task maps,
// multiplies and sums blocks of pixels that never leave its cache. Late layers, with few pixels and many channels, map
// their source once and are cut by columns. Included after a simd header; the order of summation is conv_bn.h's.
#pragma once
#include "kernels/conv2d/conv2d_vector.inl"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/conv2d_bn/edges.inl"

namespace octet::kernels {
namespace {

/// Chunks from which on a layer is cut by them alone.
constexpr std::int64_t kManyChunks = 8;
/// Columns of a task of a layer that is cut by columns: B of a deep layer stays in the second-level cache.
constexpr std::int64_t kTaskCols = kTileCols;

/// Why a vector row cannot run a problem.
inline const char* refuse_fusion(const ConvBnProblem& p) {
  // The zeros around a mapped picture are not those around the raw one.
  if (maps(p) && !p.geometry.is_pointwise()) return "a window needs its source materialised";
  if (p.geometry.out_pixels() == 0) return "there are no pixels";
  return p.quantized ? codes_too_wide(grid_of(p)) : nullptr;
}

/// The extents of a layer that both directions use.
struct Extents {
  std::int64_t pixels, chunk, chunks, depth;
  bool by_chunks;
  explicit Extents(const ConvGeometry& g)
      : pixels(g.out_pixels()),
        chunk(reduction_chunk(pixels)),
        chunks(ceil_div(pixels, chunk)),
        depth(g.r * g.s * g.c),
        by_chunks(chunks >= kManyChunks) {}
  std::int64_t chunk_end(std::int64_t i) const { return smaller((i + 1) * chunk, pixels); }
};

/// f(first pixel, pixels) over blocks of at most `most` pixels.
template <class F>
inline void for_pixel_blocks(std::int64_t begin, std::int64_t end, std::int64_t most, F f) {
  const std::int64_t block = even_block(end - begin, most, kTileRows);
  for (std::int64_t i = begin; i < end; i += block) f(i, smaller(end - i, block));
}

/// Floats of scratch for `pixels` rows of source_rows().
inline std::int64_t source_floats(const ConvBnProblem& p, std::int64_t pixels) {
  const ConvGeometry& g = p.geometry;
  if (!g.is_pointwise()) return pixels * g.r * g.s * g.c;
  return maps(p) ? pixels * g.c : 0;
}
/// Rows of the left operand: source pixels as they lie, mapped, or as columns.
inline View source_rows(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first, std::int64_t pixels,
                        float* scratch) {
  const ConvGeometry& g = p.geometry;
  if (!g.is_pointwise()) {
    const std::int64_t depth = g.r * g.s * g.c;
    im2col(g, io.src, first, pixels, {0, g.r * g.s}, 0.0f, scratch, depth);
    return {scratch, depth, true};
  }
  if (!maps(p)) return {io.src + first * g.c, g.c, true};
  map_pixels(p, io, 0, pixels, g.c, io.src + first * g.c, g.c, scratch, g.c);
  return {scratch, g.c, true};
}
/// The whole source, mapped in parallel into memory of source_floats(pixels), or as it lies.
inline const float* whole_source(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e, float* to) {
  if (to == nullptr) return io.src;
  constexpr std::int64_t kPixels = 64;
  parallel_for(ceil_div(e.pixels, kPixels), [&](std::int64_t task) {
    const std::int64_t first = task * kPixels;
    source_rows(p, io, first, smaller(e.pixels - first, kPixels), to + first * e.depth);
  });
  return to;
}
inline float* acquire_or_null(std::int64_t count) { return count == 0 ? nullptr : acquire_floats(count); }
inline void release_if(float* p, std::int64_t count) {
  if (p != nullptr) release_floats(p, count);
}

/// Pixels of a block of the forward pass: its rows of the left operand take at most half the second-level cache.
inline std::int64_t forward_block(const Extents& e) {
  return smaller(larger((64 << 10) / e.depth, 4 * kTileRows), 256);
}

inline bool wants_statistics(const ConvBnPointers& io) { return io.mean != nullptr || io.low != nullptr; }

inline void forward_by_chunks(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                              const ChunkSums& sums) {
  const std::int64_t k = p.geometry.k, b_floats = k * e.depth, block = forward_block(e);
  float* b = acquire_floats(b_floats);
  transpose_parallel(io.weight, k, e.depth, b);
  parallel_for(e.chunks, [&](std::int64_t chunk) {
    const std::int64_t floats = source_floats(p, block + kTileRows);
    float* scratch = acquire_or_null(floats);
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), block, [&](std::int64_t first, std::int64_t pixels) {
      float* dst = io.dst + first * k;
      const View a = source_rows(p, io, first, pixels, scratch);
      const std::int64_t next = p.geometry.is_pointwise() ? smaller(e.pixels - first - pixels, pixels) : 0;
      multiply_deep({a,
                     pixels,
                     k,
                     e.depth,
                     b,
                     k,
                     dst,
                     k,
                     true,
                     nullptr,
                     {ahead_of(io.src + (first + pixels) * p.geometry.c, next * p.geometry.c), {}}});
      if (wants_statistics(io)) add_statistics(sums, chunk, 0, pixels, k, dst, k);
    });
    release_if(scratch, floats);
  });
  release_floats(b, b_floats);
}

inline void forward_by_columns(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                               const ChunkSums& sums) {
  const std::int64_t k = p.geometry.k, floats = source_floats(p, e.pixels), col_blocks = ceil_div(k, kTaskCols);
  float* mapped = acquire_or_null(floats);
  const float* x = whole_source(p, io, e, mapped);
  parallel_for(e.chunks * col_blocks, [&](std::int64_t task) {
    const std::int64_t chunk = task / col_blocks, j = task % col_blocks * kTaskCols, cols = smaller(k - j, kTaskCols);
    float* b = acquire_floats(kTaskCols * e.depth);
    transpose_matrix(io.weight + j * e.depth, cols, e.depth, e.depth, b, kTaskCols);
    for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), 256, [&](std::int64_t first, std::int64_t pixels) {
      float* dst = io.dst + first * k + j;
      multiply_deep({{x + first * e.depth, e.depth, true}, pixels, cols, e.depth, b, kTaskCols, dst, k, true, nullptr});
      if (wants_statistics(io)) add_statistics(sums, chunk, j, pixels, cols, dst, k);
    });
    release_floats(b, kTaskCols * e.depth);
  });
  release_if(mapped, floats);
}

inline void conv2d_bn_forward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Extents e(p.geometry);
  ChunkSums sums(e.chunks, p.geometry.k);
  e.by_chunks ? forward_by_chunks(p, io, e, sums) : forward_by_columns(p, io, e, sums);
  if (wants_statistics(io)) sums.store_statistics(e.pixels, io);
  sums.release();
}

/// d for `pixels` from `first`, whole: as it lies, or with its late part into memory of `pixels` rows.
inline const float* whole_gradient(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first,
                                   std::int64_t pixels, float* to) {
  const std::int64_t k = p.geometry.k, at = first * k;
  if (io.slope == nullptr) return io.d_dst + at;
  complete_gradient(io, 0, pixels, k, io.d_dst + at, io.z_dst + at, k, to, k);
  return to;
}

/// One reduction chunk of the backward pass, a block of pixels after the other.
struct ChunkScratch {
  float *d, *x, *d_x;
};
inline void backward_block(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                           const MapGradient& through, std::int64_t chunk, std::int64_t first, std::int64_t pixels,
                           const ChunkScratch& scratch, float* d_weight) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t k = g.k, at = (first + pixels) * k, next = smaller(e.chunk_end(chunk) - first - pixels, pixels);
  const float* d = whole_gradient(p, io, first, pixels, scratch.d);
  const Ahead next_d = ahead_of(io.d_dst + at, next * k);
  const Ahead next_z = ahead_of(io.z_dst + at, io.slope != nullptr ? next * k : 0);
  if (d_weight != nullptr) {
    const View x = source_rows(p, io, first, pixels, scratch.x);
    const Ahead next_x = ahead_of(io.src + (first + pixels) * g.c, g.is_pointwise() ? next * g.c : 0);
    multiply_block({{d, k, false},
                    k,
                    e.depth,
                    pixels,
                    x.data,
                    x.ld,
                    d_weight,
                    e.depth,
                    first == chunk * e.chunk,
                    nullptr,
                    {next_d, next_x}});
  }
  if (io.d_src == nullptr) return;
  float* d_src = io.d_src + first * g.c;
  float* d_x = maps(p) ? scratch.d_x : d_src;
  multiply_deep({{d, k, true},
                 pixels,
                 g.c,
                 k,
                 io.weight,
                 g.c,
                 d_x,
                 g.c,
                 true,
                 nullptr,
                 {next_z, ahead_of(d_src, maps(p) ? pixels * g.c : 0)}});
  if (maps(p)) gradient_through_map(p, io, through, chunk, 0, pixels, g.c, d_x, g.c, io.src + first * g.c, d_src, g.c);
}

/// The weight gradient's blocks of a layer cut by columns.
struct WeightTasks {
  std::int64_t rows, row_block, cols, col_block, row_tasks, tasks;
  WeightTasks(std::int64_t k, std::int64_t depth)
      : rows(k),
        row_block(even_block(k, 66, kTileRows)),
        cols(depth),
        col_block(even_block(depth, kColBlock, kTileCols)),
        row_tasks(ceil_div(k, row_block)),
        tasks(row_tasks * ceil_div(depth, col_block)) {}
};

/// What the tasks of a layer cut by columns read beside the pointers: whole gradient and columns of a window, where they
/// were made before.
struct Prepared {
  const float *d = nullptr, *x = nullptr;
};

/// Task of the weight gradient: its chunks one after the other, each summed from zero.
class WeightTask {
 public:
  WeightTask(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e, const Prepared& prepared,
             const WeightTasks& w, std::int64_t task)
      : p_(p),
        io_(io),
        e_(e),
        prepared_(prepared),
        w_(w),
        i_(task % w.row_tasks * w.row_block),
        j_(task / w.row_tasks * w.col_block),
        rows_(smaller(w.rows - i_, w.row_block)),
        cols_(smaller(w.cols - j_, w.col_block)) {}

  void run() const {
    const std::int64_t part_floats = e_.chunks > 1 ? rows_ * cols_ : 0, block = kPixelBlock + kTileRows;
    const std::int64_t d_floats = completes() ? block * rows_ : 0, x_floats = maps_here() ? block * cols_ : 0;
    const std::int64_t floats = part_floats + d_floats + x_floats;
    float* part = acquire_or_null(floats);
    float* total = io_.d_weight + i_ * w_.cols + j_;
    for (std::int64_t chunk = 0; chunk < e_.chunks; ++chunk) {
      const std::int64_t begin = chunk * e_.chunk;
      for_pixel_blocks(begin, e_.chunk_end(chunk), kPixelBlock, [&](std::int64_t first, std::int64_t pixels) {
        add_block(chunk, first, pixels, part + part_floats, part + part_floats + d_floats, chunk == 0 ? total : part,
                  chunk == 0 ? w_.cols : cols_);
      });
      if (chunk == 0) continue;
      for (std::int64_t r = 0; r < rows_; ++r)
        for (std::int64_t c = 0; c < cols_; ++c) total[r * w_.cols + c] += part[r * cols_ + c];
    }
    release_if(part, floats);
  }

 private:
  bool completes() const { return prepared_.d == nullptr && io_.slope != nullptr; }
  bool maps_here() const { return prepared_.x == nullptr && maps(p_); }

  void add_block(std::int64_t chunk, std::int64_t first, std::int64_t pixels, float* d_memory, float* x_memory,
                 float* sums, std::int64_t ld) const {
    const std::int64_t k = w_.rows, c = w_.cols, next = smaller(e_.chunk_end(chunk) - first - pixels, pixels);
    const float* raw_d = (prepared_.d != nullptr ? prepared_.d : io_.d_dst) + first * k + i_;
    const float* raw_x = (prepared_.x != nullptr ? prepared_.x : io_.src) + first * c + j_;
    const float* z = completes() ? io_.z_dst + first * k + i_ : nullptr;
    View d{raw_d, k, false};
    if (completes()) {
      complete_gradient(io_, i_, pixels, rows_, raw_d, z, k, d_memory, rows_);
      d = {d_memory, rows_, false};
    }
    View x{raw_x, c, false};
    if (maps_here()) {
      map_pixels(p_, io_, j_, pixels, cols_, raw_x, c, x_memory, cols_);
      x = {x_memory, cols_, false};
    }
    multiply_block({d,
                    rows_,
                    cols_,
                    pixels,
                    x.data,
                    x.ld,
                    sums,
                    ld,
                    first == chunk * e_.chunk,
                    nullptr,
                    {ahead_of(raw_d + pixels * k, k, next, rows_), ahead_of(raw_x + pixels * c, c, next, cols_),
                     ahead_of(z != nullptr ? z + pixels * k : nullptr, k, z != nullptr ? next : 0, rows_)}});
  }

  const ConvBnProblem& p_;
  const ConvBnPointers& io_;
  const Extents& e_;
  const Prepared& prepared_;
  const WeightTasks& w_;
  const std::int64_t i_, j_, rows_, cols_;
};

/// Task of the source's gradient: kTaskCols channels of one chunk; rows of d are as long as the weight is deep.
template <class Step = F32Step>
inline void source_gradient_block(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                  const MapGradient& through, std::int64_t task, const View& d, const float* weight) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t chunk = task % e.chunks, j = task / e.chunks * kTaskCols, cols = smaller(g.c - j, kTaskCols);
  constexpr std::int64_t kRows = 16 * kTileRows;
  float* scratch = maps(p) ? acquire_floats((kRows + kTileRows) * kTaskCols) : nullptr;
  for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), kRows, [&](std::int64_t first, std::int64_t pixels) {
    float* d_src = io.d_src + first * g.c + j;
    float* d_x = scratch != nullptr ? scratch : d_src;
    const std::int64_t ld = scratch != nullptr ? kTaskCols : g.c;
    const Ahead z = ahead_of(io.src + first * g.c + j, g.c, scratch != nullptr ? pixels : 0, cols);
    multiply_deep<Step>({{d.data + first * d.ld, d.ld, true},
                         pixels,
                         cols,
                         d.ld,
                         weight + j,
                         g.c,
                         d_x,
                         ld,
                         true,
                         nullptr,
                         {z, ahead_of(d_src, g.c, scratch != nullptr ? pixels : 0, cols)}});
    if (scratch != nullptr)
      gradient_through_map(p, io, through, chunk, j, pixels, cols, d_x, ld, io.src + first * g.c + j, d_src, g.c);
  });
  if (scratch != nullptr) release_floats(scratch, (kRows + kTileRows) * kTaskCols);
}

/// Scratch of backward_block() for blocks of at most `pixels`.
struct BlockScratch {
  std::int64_t d_floats, x_floats, floats;
  BlockScratch(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t pixels)
      : d_floats(io.slope != nullptr ? (pixels + kTileRows) * p.geometry.k : 0),
        x_floats(source_floats(p, pixels + kTileRows)),
        floats(d_floats + x_floats + (maps(p) && io.d_src != nullptr ? (pixels + kTileRows) * p.geometry.c : 0)) {}
  ChunkScratch in(float* memory) const { return {memory, memory + d_floats, memory + d_floats + x_floats}; }
};
inline void backward_chunk(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                           const MapGradient& through, std::int64_t chunk, float* d_weight) {
  // Of every tensor a block and the next one stay in the second-level cache.
  const std::int64_t most =
      smaller(larger((96 << 10) / (3 * (p.geometry.k + p.geometry.c)), 8 * kTileRows), kPixelBlock);
  const BlockScratch scratch(p, io, most);
  float* memory = acquire_or_null(scratch.floats);
  for_pixel_blocks(chunk * e.chunk, e.chunk_end(chunk), most, [&](std::int64_t first, std::int64_t pixels) {
    backward_block(p, io, e, through, chunk, first, pixels, scratch.in(memory), d_weight);
  });
  release_if(memory, scratch.floats);
}

inline void backward_by_chunks(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                               const MapGradient& through) {
  const std::int64_t count = p.geometry.k * e.depth,
                     floats = io.d_weight != nullptr ? larger(e.chunks - 1, 1) * count : 0;
  float* parts = acquire_or_null(floats);
  parallel_for(e.chunks, [&](std::int64_t chunk) {
    float* d_weight = chunk == 0 || parts == nullptr ? io.d_weight : parts + (chunk - 1) * count;
    backward_chunk(p, io, e, through, chunk, d_weight);
  });
  if (parts != nullptr) add_parts(parts, e.chunks - 1, count, io.d_weight);
  release_if(parts, floats);
}

/// d whole, in parallel, into `to`.
inline void complete_whole_gradient(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e, float* to) {
  constexpr std::int64_t kPixels = 64;
  parallel_for(ceil_div(e.pixels, kPixels), [&](std::int64_t task) {
    const std::int64_t first = task * kPixels;
    whole_gradient(p, io, first, smaller(e.pixels - first, kPixels), to + first * p.geometry.k);
  });
}

inline void backward_by_columns(const ConvBnProblem& p, const ConvBnPointers& io, const Extents& e,
                                const MapGradient& through) {
  const ConvGeometry& g = p.geometry;
  // A few chunks make tasks of the source's gradient that complete d as they go; a single one is cut by columns, each of
  // which reads all of d.
  const bool window = !g.is_pointwise(), source_by_chunks = !window && e.chunks > 1;
  const bool needs_d = io.slope != nullptr && io.d_src != nullptr && !source_by_chunks;
  const std::int64_t d_floats = needs_d ? e.pixels * g.k : 0;
  const std::int64_t x_floats = window && io.d_weight != nullptr ? source_floats(p, e.pixels) : 0;
  float *d_memory = acquire_or_null(d_floats), *x_memory = acquire_or_null(x_floats);
  if (d_memory != nullptr) complete_whole_gradient(p, io, e, d_memory);
  if (x_memory != nullptr) whole_source(p, io, e, x_memory);
  const Prepared prepared{d_memory, x_memory};
  const WeightTasks weight(g.k, e.depth);
  const std::int64_t weight_tasks = io.d_weight != nullptr ? weight.tasks : 0;
  const std::int64_t source_tasks =
      window || io.d_src == nullptr ? 0 : e.chunks * (source_by_chunks ? 1 : ceil_div(g.c, kTaskCols));
  const float* d = d_memory != nullptr ? d_memory : io.d_dst;
  parallel_for(source_tasks + weight_tasks, [&](std::int64_t task) {
    if (task >= source_tasks)
      WeightTask(p, io, e, prepared, weight, task - source_tasks).run();
    else if (source_by_chunks)
      backward_chunk(p, io, e, through, task, nullptr);
    else
      source_gradient_block(p, io, e, through, task, {d, g.k, true}, io.weight);
  });
  if (io.d_src != nullptr && window) gather_gradients(g, d, io.weight, io.d_src);
  release_if(d_memory, d_floats);
  release_if(x_memory, x_floats);
}

/// A window's source gradient gathers from all of d, so d has to be whole before.
inline void conv2d_bn_backward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Extents e(p.geometry);
  MapGradient through{ChunkSums(e.chunks, p.geometry.c), gate_of(p, io.step)};
  const bool by_chunks = e.by_chunks && (p.geometry.is_pointwise() || io.d_src == nullptr);
  by_chunks ? backward_by_chunks(p, io, e, through) : backward_by_columns(p, io, e, through);
  if (io.d_src != nullptr && p.mapped) through.sums.store_affine_gradient(io);
  through.sums.release();
}

}  // namespace

#define OCTET_CONV2D_BN_ROWS(impl)                                                                    \
  const char* conv2d_bn_fwd_f32_##impl##_why_not(const ConvBnProblem& p) { return refuse_fusion(p); } \
  void conv2d_bn_fwd_f32_##impl(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {   \
    conv2d_bn_forward(p, io);                                                                         \
  }                                                                                                   \
  const char* conv2d_bn_bwd_f32_##impl##_why_not(const ConvBnProblem& p) { return refuse_fusion(p); } \
  void conv2d_bn_bwd_f32_##impl(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {   \
    conv2d_bn_backward(p, io);                                                                        \
  }

}  // namespace octet::kernels
