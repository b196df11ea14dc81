// Sums of a block of the device's matrix product in f32, by FMA from zero in the order of the depth.
#pragma once
#include "kernels/conv2d/cuda_product.h"
#include "kernels/conv2d/gemm_plan.h"

namespace octet::kernels {
namespace {

/// The lines of one depth lie side by side.
template <int kOuter, bool kAlongDepth>
struct DepthMajor {
  using Element = float;
  static constexpr int kStep = kGemmStep, kLd = kOuter + 4, kSize = kStep * kLd;
  __device__ static void put(float* tile, int outer, int depth, const float4& x) {
    float* to = tile + depth * kLd + outer;
    if constexpr (kAlongDepth) {
      to[0] = x.x, to[kLd] = x.y, to[2 * kLd] = x.z, to[3 * kLd] = x.w;
    } else {
      *reinterpret_cast<float4*>(to) = x;
    }
  }
};

/// The sums of one thread: groups of four rows by groups of four columns, so that the threads of a warp read
/// neighbouring quads.
template <int kTileRows, int kTileCols>
class FloatSums {
  static constexpr int kCols = kTileCols == 128 ? 8 : 4, kRows = kTileRows * kTileCols / kGemmThreads / kCols;
  static constexpr int kAcross = kTileCols / kCols, kLd = kTileRows + 4, kLdCols = kTileCols + 4;

 public:
  /// Warps are 8 threads of rows by 4 of columns.
  __device__ FloatSums() {
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

/// The arithmetic of rows of f32 (cuda_gemm.h).
struct FloatMath {
  static constexpr double kSpeed = 1;
  template <int kOuter, bool kAlongDepth>
  using Layout = DepthMajor<kOuter, kAlongDepth>;
  template <int kRows, int kCols, bool, bool>
  using Sums = FloatSums<kRows, kCols>;
};

}  // namespace
}  // namespace octet::kernels
