// Sums of a block of the device's matrix product on tensor cores: operands rounded to bf16 while they are put in shared
// memory, sums in f32.
#pragma once
#include "core/gpu/mma.h"
#include "kernels/conv2d/cuda_product.h"
#include "kernels/conv2d/gemm_plan.h"

namespace octet::kernels {
namespace {

/// bf16, neighbours of the depth side by side, or, for operands across the depth, neighbouring lines. Rows are 16 bytes
/// longer than what is in them, so that eight of them begin in different banks.
template <int kOuter, bool kAlongDepth>
struct Bf16Tile {
  using Element = std::uint16_t;
  static constexpr int kStep = 32, kLd = (kAlongDepth ? kStep : kOuter) + 8,
                       kSize = (kAlongDepth ? kOuter : kStep) * kLd;
  __device__ static void put(Element* tile, int outer, int depth, const float4& x) {
    const int place = kAlongDepth ? outer * kLd + depth : depth * kLd + outer;
    *reinterpret_cast<int2*>(tile + place) = {static_cast<int>(gpu::bf16_pair(x.x, x.y)),
                                              static_cast<int>(gpu::bf16_pair(x.z, x.w))};
  }
  /// Four matrices of 8 lines by 8 of the depth, from (line, depth) on: the next one 8 lines further, or 8 of the depth
  /// further (kLinesFirst false), and the other two 8 further the other way.
  template <bool kLinesFirst>
  __device__ static void load(const Element* tile, int line, int depth, unsigned (&to)[4]) {
    const int lane = static_cast<int>(threadIdx.x) % 32, row = lane % 8, matrix = lane / 8;
    line += (kLinesFirst ? matrix % 2 : matrix / 2) * 8, depth += (kLinesFirst ? matrix / 2 : matrix % 2) * 8;
    if constexpr (kAlongDepth)
      gpu::load_matrices<false>(to, tile + (line + row) * kLd + depth);
    else
      gpu::load_matrices<true>(to, tile + (depth + row) * kLd + line);
  }
};

/// The sums of one thread: its warp's rows and columns in fragments of 16 by 8.
template <int kTileRows, int kTileCols, bool kAlongA, bool kAlongB>
class Bf16Sums {
  static constexpr int kWarpsAcross = kTileCols >= kTileRows ? 4 : 2, kWarpRows = 8 / kWarpsAcross;
  static constexpr int kRows = kTileRows / kWarpRows, kCols = kTileCols / kWarpsAcross;
  static constexpr int kDown = kRows / 16, kAcross = kCols / 8;
  static_assert(kDown >= 1 && kAcross >= 2 && kAcross % 2 == 0);
  using TileA = Bf16Tile<kTileRows, kAlongA>;
  using TileB = Bf16Tile<kTileCols, kAlongB>;

 public:
  static constexpr int kWarpLines = kWarpRows;

  __device__ Bf16Sums() {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    row_ = warp / kWarpsAcross * kRows, col_ = warp % kWarpsAcross * kCols;
#pragma unroll
    for (auto& line : sums_)
#pragma unroll
      for (auto& fragment : line)
#pragma unroll
        for (float& sum : fragment) sum = 0.0f;
  }
  __device__ void add(const std::uint16_t* a, const std::uint16_t* b) {
#pragma unroll
    for (int d = 0; d < TileA::kStep; d += 16) {
      unsigned x[kDown][4], y[kAcross / 2][4];
#pragma unroll
      for (int i = 0; i < kDown; ++i) TileA::template load<true>(a, row_ + i * 16, d, x[i]);
#pragma unroll
      for (int j = 0; j < kAcross / 2; ++j) TileB::template load<false>(b, col_ + j * 16, d, y[j]);
#pragma unroll
      for (int i = 0; i < kDown; ++i)
#pragma unroll
        for (int j = 0; j < kAcross; ++j)
          gpu::mma_bf16(sums_[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
    }
  }
  /// Makes of the sums what the epilogue stores, and leaves in `lines`, a line of kTileCols for each row of warps, what
  /// it adds up.
  template <class E>
  __device__ void tally(const Product& p, int first_row, int first_col, const E& epilogue, typename E::Tally* lines) {
    const int lane = static_cast<int>(threadIdx.x) % 32, line = row_ / kRows;
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
#pragma unroll
      for (int v = 0; v < 2; ++v) {
        const int at = col_ + j * 8 + lane % 4 * 2 + v, col = first_col + at;
        typename E::Tally tally = E::Tally::none();
#pragma unroll
        for (int i = 0; i < kDown * 2; ++i) {
          const int row = first_row + row_of(i);
          float& sum = sums_[i / 2][j][i % 2 * 2 + v];
          if (row < p.rows && col < p.cols)
            sum = epilogue.value(static_cast<std::int64_t>(row) * p.cols + col, col, sum, tally);
        }
        for (int offset = 4; offset < 32; offset *= 2) tally = tally.merged(tally.across(offset));
        if (lane < 4) lines[line * kTileCols + at] = tally;
      }
    }
  }
  __device__ void store(const Product& p, float* to, int first_row, int first_col) const {
#pragma unroll
    for (int i = 0; i < kDown * 2; ++i) {
      const int row = first_row + row_of(i);
      if (row >= p.rows) continue;
      float* const line = to + p.places.of(row) * p.cols;
#pragma unroll
      for (int j = 0; j < kAcross; ++j)
        store_pair(p, line, first_col + col_ + j * 8 + static_cast<int>(threadIdx.x) % 4 * 2,
                   sums_[i / 2][j] + i % 2 * 2);
    }
  }

 private:
  /// In the tile, the row of a thread's i-th line of sums.
  __device__ int row_of(int i) const { return row_ + i * 8 + static_cast<int>(threadIdx.x) % 32 / 4; }
  __device__ static void store_pair(const Product& p, float* line, int col, const float* sums) {
    float x[2];
#pragma unroll
    for (int v = 0; v < 2; ++v)
      x[v] = activate(p.bias == nullptr || col + v >= p.cols ? sums[v] : sums[v] + __ldg(p.bias + col + v), p.act);
    if (p.quads) {
      if (col < p.cols) *reinterpret_cast<float2*>(line + col) = make_float2(x[0], x[1]);
      return;
    }
#pragma unroll
    for (int v = 0; v < 2; ++v)
      if (col + v < p.cols) line[col + v] = x[v];
  }

  float sums_[kDown][kAcross][4];
  int row_, col_;
};

/// The arithmetic of rows of bf16 (cuda_gemm.h).
struct Bf16Math {
  static constexpr double kSpeed = 6;
  template <int kOuter, bool kAlongDepth>
  using Layout = Bf16Tile<kOuter, kAlongDepth>;
  template <int kRows, int kCols, bool kAlongA, bool kAlongB>
  using Sums = Bf16Sums<kRows, kCols, kAlongA, kAlongB>;
};

}  // namespace
}  // namespace octet::kernels
