// The device's matrix product in f32, of which all passes of conv2d and linear are made:
//   to[i, j] = Σ_d a(i, d) · b(j, d)  (+ bias[j])
// with operands of cuda_operands.h. Sums are FMA from zero in the order of d, inside each chunk of the plan
// (gemm_plan.h); the sums of chunks are added in order.
#pragma once
#include <type_traits>

#include "core/gpu/gpu.h"
#include "kernels/conv2d/cuda_operands.h"
#include "kernels/conv2d/gemm_plan.h"
#include "kernels/cuda_channels.h"
#include "kernels/cuda_tally.h"

namespace octet::kernels {
namespace {

/// A block's part of one operand: kOuter lines by kGemmStep of the depth, brought from memory through registers to
/// shared memory, where the lines of one depth lie side by side.
template <class Operand, int kOuter, bool kVectors>
class TileOfOperand {
  static constexpr int kQuads = kOuter * kGemmStep / 4 / kGemmThreads;
  static constexpr bool kAlongDepth = Operand::kAlongDepth;

 public:
  static constexpr int kLd = kOuter + 4;
  static_assert(kQuads > 0 || kOuter == 32);

  __device__ TileOfOperand(const Operand& operand, int first) : operand_(operand), first_(first) {
    if constexpr (kVectors)
      for (int i = 0; i < kLines; ++i) lines_[i] = operand_.line(first_ + outer_of(i));
  }
  /// Brings depths [d0, d0 + kGemmStep), zero from `end` on.
  __device__ void fetch(int d0, int end) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      loaded_[i] = {};
      if (!active()) continue;
      const int d = d0 + depth_of(i);
      if constexpr (kVectors) {
        if (d < end) loaded_[i].quad = operand_.quad(lines_[kAlongDepth ? i : 0], d);
      } else {
#pragma unroll
        for (int v = 0; v < 4; ++v)
          if (depth_at(d, v) < end) loaded_[i].ones[v] = operand_.at(outer_at(i, v), depth_at(d, v));
      }
    }
  }
  /// What fetch(d0, …) has brought.
  __device__ void put(float* tile, int d0) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (!active()) continue;
      float* to = tile + depth_of(i) * kLd + outer_of(i);
      const float4 x = values(i, d0 + depth_of(i));
      if constexpr (kAlongDepth) {
        to[0] = x.x, to[kLd] = x.y, to[2 * kLd] = x.z, to[3 * kLd] = x.w;
      } else {
        *reinterpret_cast<float4*>(to) = x;
      }
    }
  }

 private:
  static constexpr int kCount = kQuads > 0 ? kQuads : 1, kLines = kAlongDepth ? kCount : 1;
  /// A tile of 32 lines has work for half of the threads.
  __device__ static bool active() { return kQuads > 0 || threadIdx.x < kOuter * kGemmStep / 4; }
  // Along the depth, two neighbouring threads read a sector of 32 bytes of a line, and a warp's 16 lines by 2 quads go
  // to 32 banks; across, a warp reads and writes lines of 512 bytes.
  __device__ static int outer_of(int i) {
    const int t = static_cast<int>(threadIdx.x) + i * kGemmThreads;
    if constexpr (kAlongDepth) return t / 32 / (kGemmStep / 8) * 16 + t % 32 / 2;
    return t % (kOuter / 4) * 4;
  }
  __device__ static int depth_of(int i) {
    const int t = static_cast<int>(threadIdx.x) + i * kGemmThreads;
    if constexpr (kAlongDepth) return t / 32 % (kGemmStep / 8) * 8 + t % 2 * 4;
    return t / (kOuter / 4);
  }
  /// Line and depth of element v of a quad.
  __device__ int outer_at(int i, int v) const { return first_ + outer_of(i) + (kAlongDepth ? 0 : v); }
  __device__ static int depth_at(int d, int v) { return d + (kAlongDepth ? v : 0); }
  /// The quad whose first element is of depth d.
  __device__ float4 values(int i, int d) const {
    if constexpr (!kVectors)
      return make_float4(value(i, d, 0), value(i, d, 1), value(i, d, 2), value(i, d, 3));
    else if constexpr (kFinishes)
      return operand_.finish(loaded_[i].quad, lines_[kAlongDepth ? i : 0], d);
    else
      return loaded_[i].quad;
  }
  __device__ float value(int i, int d, int v) const {
    if constexpr (kFinishes)
      return operand_.finish(loaded_[i].ones[v], outer_at(i, v), depth_at(d, v));
    else
      return loaded_[i].ones[v];
  }

  using One = typename LoadedBy<Operand>::One;
  using Quad = typename LoadedBy<Operand>::Quad;
  static constexpr bool kFinishes = !std::is_same_v<Quad, float4>;
  struct ByQuads {
    Quad quad;
  };
  struct ByOnes {
    One ones[4];
  };

  const Operand& operand_;
  int first_;
  std::conditional_t<kVectors, ByQuads, ByOnes> loaded_[kCount] = {};
  typename Operand::Line lines_[kLines];  // across the depth all quads of a thread are of the same lines
};

/// What a launch of the product needs besides its operands.
struct Product {
  float* to;          ///< of each chunk rows · cols sums
  const float* bias;  ///< or null
  int rows, cols, depth, chunk_depth, col_tiles;
  bool quads;                         ///< rows of `to` are stored by float4
  Activation act = Activation::none;  ///< applied last
  RowPlaces places = {};
};

/// Where a product is written: row after row, or row by row to places of their own.
struct Result {
  float* to;
  RowPlaces places = {};
  Result(float* first) : to(first) {}
  Result(float* first, const RowPlaces& rows) : to(first), places(rows) {}
};

/// The sums of one thread: groups of four rows by groups of four columns, so that the threads of a warp read
/// neighbouring quads.
template <int kRows, int kCols, int kTileRows, int kTileCols>
class Sums {
  static constexpr int kAcross = kTileCols / kCols, kLd = kTileRows + 4, kLdCols = kTileCols + 4;

 public:
  /// Warps are 8 threads of rows by 4 of columns.
  __device__ Sums() {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    row_ = (warp / (kAcross / 4) * 8 + lane / 4) * 4;
    col_ = (warp % (kAcross / 4) * 4 + lane % 4) * 4;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kCols; ++j) sums_[i][j] = 0.0f;
  }
  __device__ void add(const float* a, const float* b) {
#pragma unroll
    for (int d = 0; d < kGemmStep; ++d) {
      float4 x[kRows / 4], y[kCols / 4];
#pragma unroll
      for (int i = 0; i < kRows / 4; ++i) x[i] = *reinterpret_cast<const float4*>(a + d * kLd + row_ + i * kRowGroup);
#pragma unroll
      for (int j = 0; j < kCols / 4; ++j)
        y[j] = *reinterpret_cast<const float4*>(b + d * kLdCols + col_ + j * kColGroup);
#pragma unroll
      for (int i = 0; i < kRows / 4; ++i)
#pragma unroll
        for (int j = 0; j < kCols / 4; ++j) add_quads(x[i], y[j], i * 4, j * 4);
    }
  }
  /// Makes of the sums what the epilogue stores, and leaves in `lines`, a line of kTileCols for each row of warps, what
  /// it adds up.
  template <class E>
  __device__ void tally(const Product& p, int first_row, int first_col, const E& epilogue, typename E::Tally* lines) {
    const int lane = static_cast<int>(threadIdx.x) % 32, line = static_cast<int>(threadIdx.x) / 32 / (kAcross / 4);
#pragma unroll
    for (int j = 0; j < kCols; j += 4) {
      const int at = col_ + j / 4 * kColGroup, col = first_col + at;
      typename E::Tally tallies[4] = {E::Tally::none(), E::Tally::none(), E::Tally::none(), E::Tally::none()};
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int row = first_row + row_ + i / 4 * kRowGroup + i % 4;
        if (row < p.rows) tally_quad(p, row, col, epilogue, sums_[i] + j, tallies);
      }
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        for (int offset = 4; offset < 32; offset *= 2) tallies[v] = tallies[v].merged(tallies[v].across(offset));
        if (lane < 4) lines[line * kTileCols + at + v] = tallies[v];
      }
    }
  }
  static constexpr int kWarpLines = kGemmThreads / 32 / (kAcross / 4);

  __device__ void store(const Product& p, float* to, int first_row, int first_col) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_row + row_ + i / 4 * kRowGroup + i % 4;
      if (row >= p.rows) continue;
#pragma unroll
      for (int j = 0; j < kCols / 4; ++j)
        store_quad(p, to + p.places.of(row) * p.cols, first_col + col_ + j * kColGroup, sums_[i] + j * 4);
    }
  }

 private:
  static constexpr int kRowGroup = kTileRows / (kRows / 4), kColGroup = kTileCols / (kCols / 4);

  __device__ void add_quads(const float4& x, const float4& y, int i, int j) {
    add_row(x.x, y, sums_[i] + j), add_row(x.y, y, sums_[i + 1] + j);
    add_row(x.z, y, sums_[i + 2] + j), add_row(x.w, y, sums_[i + 3] + j);
  }
  __device__ static void add_row(float x, const float4& y, float* sums) {
    sums[0] = __fmaf_rn(x, y.x, sums[0]), sums[1] = __fmaf_rn(x, y.y, sums[1]);
    sums[2] = __fmaf_rn(x, y.z, sums[2]), sums[3] = __fmaf_rn(x, y.w, sums[3]);
  }
  template <class E>
  __device__ static void tally_quad(const Product& p, int row, int col, const E& epilogue, float* sums,
                                    typename E::Tally* tallies) {
    const std::int64_t first = static_cast<std::int64_t>(row) * p.cols + col;
    if (p.quads) {
      if (col >= p.cols) return;
      const float4 x = epilogue.quad(first, col, make_float4(sums[0], sums[1], sums[2], sums[3]), tallies);
      sums[0] = x.x, sums[1] = x.y, sums[2] = x.z, sums[3] = x.w;
      return;
    }
#pragma unroll
    for (int v = 0; v < 4; ++v)
      if (col + v < p.cols) sums[v] = epilogue.value(first + v, col + v, sums[v], tallies[v]);
  }
  __device__ static void store_quad(const Product& p, float* row, int col, const float* sums) {
    if (p.quads) {
      if (col >= p.cols) return;
      const float4 bias = p.bias != nullptr ? quad_at(p.bias + col) : no_quad();
      *reinterpret_cast<float4*>(row + col) =
          p.bias == nullptr ? make_float4(activate(sums[0], p.act), activate(sums[1], p.act), activate(sums[2], p.act),
                                          activate(sums[3], p.act))
                            : make_float4(activate(sums[0] + bias.x, p.act), activate(sums[1] + bias.y, p.act),
                                          activate(sums[2] + bias.z, p.act), activate(sums[3] + bias.w, p.act));
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (col + i < p.cols)
        row[col + i] = activate(p.bias == nullptr ? sums[i] : sums[i] + __ldg(p.bias + col + i), p.act);
  }

  float sums_[kRows][kCols];
  int row_, col_;
};

/// Sums are stored as they are.
struct NoEpilogue {
  struct Tally {};
};

/// One block: one tile of the result over one chunk of the depth. The next step's operands are on their way while one
/// is added up.
template <GemmTile kTile, class A, class B, bool kVectors, class E>
__global__ void __launch_bounds__(kGemmThreads, 2) product(A a, B b, Product p, E epilogue, typename E::Tally* parts) {
  constexpr GemmTileShape kShape = shape_of(kTile);
  constexpr int kCols = kShape.cols == 128 ? 8 : 4, kRows = kShape.rows * kShape.cols / kGemmThreads / kCols;
  using TileA = TileOfOperand<A, kShape.rows, kVectors>;
  using TileB = TileOfOperand<B, kShape.cols, kVectors>;
  alignas(16) __shared__ float tile_a[2][kGemmStep * TileA::kLd];
  alignas(16) __shared__ float tile_b[2][kGemmStep * TileB::kLd];

  const int tile = static_cast<int>(blockIdx.x), chunk = static_cast<int>(blockIdx.y);
  const int first_row = tile / p.col_tiles * kShape.rows, first_col = tile % p.col_tiles * kShape.cols;
  const int begin = chunk * p.chunk_depth, end = min(begin + p.chunk_depth, p.depth);
  TileA from_a(a, first_row);
  TileB from_b(b, first_col);
  using TileSums = Sums<kRows, kCols, kShape.rows, kShape.cols>;
  TileSums sums;

  from_a.fetch(begin, end), from_b.fetch(begin, end);
  from_a.put(tile_a[0], begin), from_b.put(tile_b[0], begin);
  __syncthreads();
  for (int d = begin, at = 0; d < end; d += kGemmStep, at ^= 1) {
    const bool more = d + kGemmStep < end;
    if (more) from_a.fetch(d + kGemmStep, end), from_b.fetch(d + kGemmStep, end);
    sums.add(tile_a[at], tile_b[at]);
    if (more) from_a.put(tile_a[at ^ 1], d + kGemmStep), from_b.put(tile_b[at ^ 1], d + kGemmStep);
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

template <GemmTile kTile, bool kVectors, class A, class B, class E>
void launch_tile(const A& a, const B& b, Product p, const GemmPlan& plan, const E& epilogue, typename E::Tally* parts,
                 void* stream) {
  constexpr GemmTileShape kShape = shape_of(kTile);
  p.col_tiles = tiles(p.cols, kShape.cols);
  const dim3 grid(static_cast<unsigned>(tiles(p.rows, kShape.rows)) * static_cast<unsigned>(p.col_tiles),
                  static_cast<unsigned>(plan.chunks));
  OCTET_LAUNCH((product<kTile, A, B, kVectors, E>), grid, kGemmThreads, stream, a, b, p, epilogue, parts);
}

template <class A, class B, class E = NoEpilogue>
void launch(const A& a, const B& b, const Product& p, const GemmPlan& plan, bool vectors, void* stream,
            const E& epilogue = {}, typename E::Tally* parts = nullptr) {
  switch (plan.tile) {
    case GemmTile::t128x128:
      return launch_tile<GemmTile::t128x128, true>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t128x64:
      return launch_tile<GemmTile::t128x64, true>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t64x64:
      return vectors ? launch_tile<GemmTile::t64x64, true>(a, b, p, plan, epilogue, parts, stream)
                     : launch_tile<GemmTile::t64x64, false>(a, b, p, plan, epilogue, parts, stream);
    case GemmTile::t128x32:
      return vectors ? launch_tile<GemmTile::t128x32, true>(a, b, p, plan, epilogue, parts, stream)
                     : launch_tile<GemmTile::t128x32, false>(a, b, p, plan, epilogue, parts, stream);
  }
}

/// to (rows by cols) = act(a · bᵀ + bias), divided as the plan says. vectors: both operands can be read by quads.
template <class A, class B>
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
  if (plan.chunks == 1) return launch(a, b, p, plan, vectors, stream);
  const std::size_t bytes = static_cast<std::size_t>(plan.chunks) * count * sizeof(float);
  auto* partial = static_cast<float*>(gpu::scratch_acquire(bytes));
  p.to = partial, p.bias = nullptr, p.quads = cols % 4 == 0, p.act = Activation::none, p.places = {};
  launch(a, b, p, plan, vectors, stream);
  add_chunks({partial, bias, to, count, i32(cols), plan.chunks, act, result.places}, stream);
  gpu::scratch_release(partial, bytes);
}

/// to = a · bᵀ through an epilogue of cuda_tally.h, whose channels are the columns.
template <class A, class B, class E>
void multiply_tallied(const A& a, const B& b, std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors,
                      const E& epilogue, float* to, void* stream) {
  const GemmPlan plan = gemm_plan(rows, cols, depth, vectors);
  const auto i32 = [](std::int64_t x) { return static_cast<int>(x); };
  if (plan.chunks > 1) {
    multiply(a, b, rows, cols, depth, plan, vectors, nullptr, to, stream);
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
  launch(a, b, p, plan, vectors, stream, epilogue, parts);
  launch_finish(epilogue, parts, row_tiles, i32(cols), stream);
  gpu::scratch_release(parts, bytes);
}

template <class A, class B>
void multiply(const A& a, const B& b, std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors,
              const float* bias, const Result& result, void* stream, Activation act = Activation::none) {
  multiply(a, b, rows, cols, depth, gemm_plan(rows, cols, depth, vectors), vectors, bias, result, stream, act);
}

}  // namespace
}  // namespace octet::kernels
