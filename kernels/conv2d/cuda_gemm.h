// The device's matrix product, of which all passes of conv2d and linear are made:
//   to[i, j] = Σ_d a(i, d) · b(j, d)  (+ bias[j])
// with operands of cuda_operands.h. Sums are the Math's — FloatMath, Bf16Math (cuda_bf16_sums.h) —, inside each chunk
// of the plan (gemm_plan.h); the sums of chunks are added in order. A Math has
//   kSpeed                            multiplications in the time of one of FloatMath
//   Layout<outer, along depth>        of an operand in shared memory (cuda_tile.h), kStep of the depth at a time
//   Sums<rows, cols, a along, b along>   add(a, b) of two tiles; tally(), store()
#pragma once
#include <type_traits>

#include "core/gpu/gpu.h"
#include "kernels/conv2d/cuda_float_sums.h"
#include "kernels/conv2d/cuda_operands.h"
#include "kernels/conv2d/cuda_product.h"
#include "kernels/conv2d/cuda_tile.h"
#include "kernels/conv2d/gemm_plan.h"
#include "kernels/cuda_channels.h"
#include "kernels/cuda_tally.h"

namespace octet::kernels {
namespace {

/// Sums are stored as they are.
struct NoEpilogue {
  struct Tally {};
};

/// One block: one tile of the result over one chunk of the depth. The next step's operands are on their way while one
/// is added up.
template <class Math, GemmTile kTile, class A, class B, bool kVectors, class E>
__global__ void __launch_bounds__(kGemmThreads, 2) product(A a, B b, Product p, E epilogue, typename E::Tally* parts) {
  constexpr GemmTileShape kShape = shape_of(kTile);
  using LayoutA = typename Math::template Layout<kShape.rows, A::kAlongDepth>;
  using LayoutB = typename Math::template Layout<kShape.cols, B::kAlongDepth>;
  using TileA = TileOfOperand<A, kShape.rows, kVectors, LayoutA>;
  using TileB = TileOfOperand<B, kShape.cols, kVectors, LayoutB>;
  alignas(16) __shared__ typename LayoutA::Element tile_a[2][LayoutA::kSize];
  alignas(16) __shared__ typename LayoutB::Element tile_b[2][LayoutB::kSize];
  constexpr int kStep = LayoutA::kStep;

  const int tile = static_cast<int>(blockIdx.x), chunk = static_cast<int>(blockIdx.y);
  const int first_row = tile / p.col_tiles * kShape.rows, first_col = tile % p.col_tiles * kShape.cols;
  const int begin = chunk * p.chunk_depth, end = min(begin + p.chunk_depth, p.depth);
  TileA from_a(a, first_row);
  TileB from_b(b, first_col);
  using TileSums = typename Math::template Sums<kShape.rows, kShape.cols, A::kAlongDepth, B::kAlongDepth>;
  TileSums sums;

  from_a.fetch(begin, end), from_b.fetch(begin, end);
  from_a.put(tile_a[0], begin), from_b.put(tile_b[0], begin);
  __syncthreads();
  for (int d = begin, at = 0; d < end; d += kStep, at ^= 1) {
    const bool more = d + kStep < end;
    if (more) from_a.fetch(d + kStep, end), from_b.fetch(d + kStep, end);
    sums.add(tile_a[at], tile_b[at]);
    if (more) from_a.put(tile_a[at ^ 1], d + kStep), from_b.put(tile_b[at ^ 1], d + kStep);
    __syncthreads();
  }
  if constexpr (!std::is_same_v<E, NoEpilogue>) {
    __shared__ typename E::Tally lines[TileSums::kWarpLines * kShape.cols];
    sums.tally(p, first_row, first_col, epilogue, lines);
    __syncthreads();
    const int col = static_cast<int>(threadIdx.x);
    if (col < kShape.cols && first_col + col < p.cols) {
      typename E::Tally all = lines[col];
      for (int line = 1; line < TileSums::kWarpLines; ++line) all = all.merged(lines[line * kShape.cols + col]);
      parts[static_cast<std::int64_t>(tile / p.col_tiles) * p.cols + first_col + col] = all;
    }
  }
  sums.store(p, p.to + static_cast<std::int64_t>(chunk) * p.rows * p.cols, first_row, first_col);
}

inline bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

/// What the chunks of a product leave to be added: to[i] = act(Σ of partial[chunk · count + i] + bias[i mod cols]),
/// rows at their places.
struct ChunkSums {
  const float *partial, *bias;
  float* to;
  std::size_t count;
  int cols, chunks;
  Activation act = Activation::none;
  RowPlaces places = {};
};

/// V neighbours a thread. The threads of a block stand in `rows` that take the chunks in turns, each in order, and are
/// then added in order.
template <int V>
__global__ void __launch_bounds__(gpu::kLoopThreads) sum_of_chunks(ChunkSums s, unsigned rows) {
  __shared__ Channels<V> shared[gpu::kLoopThreads];
  const unsigned lanes = gpu::kLoopThreads / rows, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  const std::size_t i = (std::size_t{blockIdx.x} * lanes + lane) * V;
  Channels<V> sum = {};
  if (i < s.count) {
#pragma unroll 4
    for (unsigned chunk = row; chunk < static_cast<unsigned>(s.chunks); chunk += rows) {
      const Channels<V> x = load_channels<V>(s.partial + chunk * s.count + i);
#pragma unroll
      for (int v = 0; v < V; ++v) sum.of[v] = chunk == row ? x.of[v] : __fadd_rn(sum.of[v], x.of[v]);
    }
  }
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (row != 0 || i >= s.count) return;
  for (unsigned other = 1; other < rows; ++other) {
#pragma unroll
    for (int v = 0; v < V; ++v) sum.of[v] = __fadd_rn(sum.of[v], shared[other * lanes + lane].of[v]);
  }
  const auto line = static_cast<int>(i / static_cast<unsigned>(s.cols)),
             col = static_cast<int>(i % static_cast<unsigned>(s.cols));
#pragma unroll
  for (int v = 0; v < V; ++v)
    sum.of[v] = activate(s.bias == nullptr ? sum.of[v] : __fadd_rn(sum.of[v], s.bias[col + v]), s.act);
  store_channels(s.to + s.places.of(line) * s.cols + col, sum);
}

template <int V>
void launch_sum_of_chunks(const ChunkSums& s, void* stream) {
  constexpr std::size_t kEnough = 300'000;  // threads, that a large device is full of
  constexpr unsigned kMostRows = 16, kLeastChunks = 4;
  unsigned rows = 1;
  while (rows < kMostRows && 2 * rows * kLeastChunks <= static_cast<unsigned>(s.chunks) && s.count / V * rows < kEnough)
    rows *= 2;
  const std::size_t lanes = gpu::kLoopThreads / rows;
  const auto blocks = static_cast<unsigned>((s.count / V + lanes - 1) / lanes);
  OCTET_LAUNCH(sum_of_chunks<V>, blocks, gpu::kLoopThreads, stream, s, rows);
}
inline void add_chunks(const ChunkSums& s, void* stream) {
  if (s.count == 0) return;
  s.cols % 4 == 0 && aligned(s.to) && aligned(s.partial) ? launch_sum_of_chunks<4>(s, stream)
                                                         : launch_sum_of_chunks<1>(s, stream);
}

constexpr int tiles(int extent, int tile) { return extent / tile + (extent % tile != 0); }

template <class Math, GemmTile kTile, bool kVectors, class A, class B, class E>
void launch_tile(const A& a, const B& b, Product p, const GemmPlan& plan, const E& epilogue, typename E::Tally* parts,
                 void* stream) {
  constexpr GemmTileShape kShape = shape_of(kTile);
  p.col_tiles = tiles(p.cols, kShape.cols);
  const dim3 grid(static_cast<unsigned>(tiles(p.rows, kShape.rows)) * static_cast<unsigned>(p.col_tiles),
                  static_cast<unsigned>(plan.chunks));
  OCTET_LAUNCH((product<Math, kTile, A, B, kVectors, E>), grid, kGemmThreads, stream, a, b, p, epilogue, parts);
}

template <class Math, class A, class B, class E = NoEpilogue>
void launch(const A& a, const B& b, const Product& p, const GemmPlan& plan, bool vectors, void* stream,
            const E& epilogue = {}, typename E::Tally* parts = nullptr) {
  switch (plan.tile) {
    case GemmTile::t128x128:
      return launch_tile<Math, GemmTile::t128x128, true>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t128x64:
      return launch_tile<Math, GemmTile::t128x64, true>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t64x64:
      return vectors ? launch_tile<Math, GemmTile::t64x64, true>(a, b, p, plan, epilogue, parts, stream)
                     : launch_tile<Math, GemmTile::t64x64, false>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t128x32:
      return vectors ? launch_tile<Math, GemmTile::t128x32, true>(a, b, p, plan, epilogue, parts, stream)
                     : launch_tile<Math, GemmTile::t128x32, false>(a, b, p, plan, epilogue, parts, stream);
  }
}

/// to (rows by cols) = act(a · bᵀ + bias), divided as the plan says. vectors: both operands can be read by quads.
template <class Math = FloatMath, class A, class B>
void multiply(const A& a, const B& b, std::int64_t rows, std::int64_t cols, std::int64_t depth, const GemmPlan& plan,
              bool vectors, const float* bias, const Result& result, void* stream, Activation act = Activation::none) {
  float* const to = result.to;
  const auto count = static_cast<std::size_t>(rows * cols);
  const auto i32 = [](std::int64_t x) { return static_cast<int>(x); };
  Product p{to,         bias,
            i32(rows),  i32(cols),
            i32(depth), i32(plan.chunk_depth),
            0,          cols % 4 == 0 && aligned(to) && aligned(bias),
            act,        result.places};
  if (plan.chunks == 1) return launch<Math>(a, b, p, plan, vectors, stream);
  const std::size_t bytes = static_cast<std::size_t>(plan.chunks) * count * sizeof(float);
  auto* partial = static_cast<float*>(gpu::scratch_acquire(bytes));
  p.to = partial, p.bias = nullptr, p.quads = cols % 4 == 0, p.act = Activation::none, p.places = {};
  launch<Math>(a, b, p, plan, vectors, stream);
  add_chunks({partial, bias, to, count, i32(cols), plan.chunks, act, result.places}, stream);
  gpu::scratch_release(partial, bytes);
}

/// to = a · bᵀ through an epilogue of cuda_tally.h, whose channels are the columns.
template <class Math = FloatMath, class A, class B, class E>
void multiply_tallied(const A& a, const B& b, std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors,
                      const E& epilogue, float* to, void* stream) {
  const GemmPlan plan = gemm_plan(rows, cols, depth, vectors, Math::kSpeed);
  const auto i32 = [](std::int64_t x) { return static_cast<int>(x); };
  if (plan.chunks > 1) {
    multiply<Math>(a, b, rows, cols, depth, plan, vectors, nullptr, to, stream);
    return tally_in_memory(epilogue, to, i32(rows), i32(cols), stream);
  }
  const int row_tiles = tiles(i32(rows), shape_of(plan.tile).rows);
  const std::size_t bytes =
      static_cast<std::size_t>(row_tiles) * static_cast<std::size_t>(cols) * sizeof(typename E::Tally);
  auto* parts = static_cast<typename E::Tally*>(gpu::scratch_acquire(bytes));
  const Product p{to,
                  nullptr,
                  i32(rows),
                  i32(cols),
                  i32(depth),
                  i32(plan.chunk_depth),
                  0,
                  cols % 4 == 0 && aligned(to) && epilogue.by_quads(),
                  Activation::none};
  launch<Math>(a, b, p, plan, vectors, stream, epilogue, parts);
  launch_finish(epilogue, parts, row_tiles, i32(cols), stream);
  gpu::scratch_release(parts, bytes);
}

template <class Math = FloatMath, class A, class B>
void multiply(const A& a, const B& b, std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors,
              const float* bias, const Result& result, void* stream, Activation act = Activation::none) {
  multiply<Math>(a, b, rows, cols, depth, gemm_plan(rows, cols, depth, vectors, Math::kSpeed), vectors, bias, result,
                 stream, act);
}

}  // namespace
}  // namespace octet::kernels
