// Register tiles of a matrix product of f32: C (+)= A · B with the operands where they lie, nothing packed. B rows are
// read as vectors, elements of A broadcast; Zen 4 and Zen 5 run this at their FMA rate while the operands are in the
// second-level cache. Every element of C is one FMA chain over the depth in order. Included after a simd header.
#pragma once
#include <cstdint>

#include "kernels/gemm/extents.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// Rows of the largest tile: 12x32 (AVX-512, 24 of 32 registers hold sums), 6x16 (AVX2, 12 of 16).
constexpr int kTileRows = VecF::width == 16 ? 12 : 6;
constexpr int kTileVecs = 2;
constexpr int kTileCols = kTileVecs * VecF::width;
/// Floats of a cache line.
constexpr int kLine = 16;

/// The left operand: element (i, k), k along the depth, is at i·ld + k when depth_inner, else at k·ld + i.
struct View {
  const float* data;
  std::int64_t ld;
  bool depth_inner;
};
inline const float* at(const View& m, std::int64_t i, std::int64_t k) {
  return m.depth_inner ? m.data + i * m.ld + k : m.data + k * m.ld + i;
}

/// One tile: R rows, `cols` columns (at most kTileCols) from b and c on.
struct Tile {
  const float* a;
  std::int64_t lda;
  const float* b;  ///< [depth][cols], rows ldb apart
  std::int64_t ldb, depth;
  float* c;
  std::int64_t ldc;
  int cols;
  bool from_zero;                     ///< sums start at zero instead of C
  const float* bias;                  ///< for these columns, or null
  Activation act = Activation::none;  ///< of the sums, bias included
  const float* next_c = nullptr;      ///< the tile of C that comes next
  /// Memory that later work will read: a line is asked for with every step of the depth, `ahead_step` floats on.
  const float* ahead = nullptr;
  std::int64_t ahead_step = 0;
};

/// What a step of the depth adds to a sum: by default one product of f32. A step over pairs of bf16, which take the place
/// of an f32 in every operand, replaces it.
struct F32Step {
  OCTET_SIMD static VecF add(VecF a, VecF b, VecF sum) { return fma(a, b, sum); }
};

template <bool Whole>
OCTET_SIMD VecF load_lanes(const float* p, int lanes) {
  return Whole ? VecF::load(p) : VecF::load(p, lanes);
}
template <bool Whole>
OCTET_SIMD void store_lanes(VecF v, float* p, int lanes) {
  Whole ? v.store(p) : v.store(p, lanes);
}

template <Activation A, int R>
OCTET_SIMD void activate_sums(VecF (&sum)[R][kTileVecs]) {
  OCTET_UNROLL
  for (int i = 0; i < R; ++i) OCTET_UNROLL
  for (int v = 0; v < kTileVecs; ++v) sum[i][v] = activate<A>(sum[i][v]);
}

template <class Step, int R, bool DepthInner, bool Whole>
[[gnu::noinline]] void multiply_tile(const Tile& t) {
  constexpr int W = VecF::width, kGroup = 3, kBases = (R + kGroup - 1) / kGroup;
  const int lanes[kTileVecs] = {static_cast<int>(smaller(t.cols, W)), static_cast<int>(larger(t.cols - W, 0))};
  const std::int64_t lda = t.lda, ldb = t.ldb, ldc = t.ldc;
  float* c = t.c;
  OCTET_UNROLL
  for (int i = 0; i < R; ++i) {
    __builtin_prefetch(t.next_c + i * ldc, 1);
    if (W * kTileVecs > kLine) __builtin_prefetch(t.next_c + i * ldc + kLine, 1);
  }
  VecF sum[R][kTileVecs];
  OCTET_UNROLL
  for (int i = 0; i < R; ++i) OCTET_UNROLL
  for (int v = 0; v < kTileVecs; ++v)
    sum[i][v] = t.from_zero ? VecF::zero() : load_lanes<Whole>(c + i * ldc + v * W, lanes[v]);

  // Rows in threes: an address may scale its index by one or two.
  const float* base[kBases];
  OCTET_UNROLL
  for (int g = 0; g < kBases; ++g) base[g] = DepthInner ? t.a + g * kGroup * lda : t.a;
  const float *b = t.b, *ahead = t.ahead;
  const std::int64_t ahead_step = t.ahead_step;
  for (std::int64_t k = 0; k < t.depth; ++k, b += ldb, ahead += ahead_step) {
    __builtin_prefetch(ahead, 0, 2);
    VecF bv[kTileVecs];
    OCTET_UNROLL
    for (int v = 0; v < kTileVecs; ++v) bv[v] = load_lanes<Whole>(b + v * W, lanes[v]);
    OCTET_UNROLL
    for (int i = 0; i < R; ++i) {
      const VecF ai = VecF::set1(DepthInner ? base[i / kGroup][i % kGroup * lda] : base[0][i]);
      OCTET_UNROLL
      for (int v = 0; v < kTileVecs; ++v) sum[i][v] = Step::add(ai, bv[v], sum[i][v]);
    }
    if (DepthInner) {
      OCTET_UNROLL
      for (int g = 0; g < kBases; ++g) ++base[g];
    } else {
      base[0] += lda;
    }
  }
  if (t.bias != nullptr) {
    OCTET_UNROLL
    for (int v = 0; v < kTileVecs; ++v) {
      const VecF bias = load_lanes<Whole>(t.bias + v * W, lanes[v]);
      OCTET_UNROLL
      for (int i = 0; i < R; ++i) sum[i][v] = sum[i][v] + bias;
    }
  }
  if (t.act == Activation::relu) activate_sums<Activation::relu>(sum);
  if (t.act == Activation::relu6) activate_sums<Activation::relu6>(sum);
  OCTET_UNROLL
  for (int i = 0; i < R; ++i) OCTET_UNROLL
  for (int v = 0; v < kTileVecs; ++v) store_lanes<Whole>(sum[i][v], c + i * ldc + v * W, lanes[v]);
}

/// Rows of the tile for `rest` more rows: the largest that fits.
inline int tile_rows(std::int64_t rest) {
  constexpr int kMiddle = kTileRows * 2 / 3, kSmall = kTileRows / 3;
  return rest >= kTileRows ? kTileRows : rest >= kMiddle ? kMiddle : rest >= kSmall ? kSmall : 1;
}

template <class Step, bool DepthInner, bool Whole>
inline void multiply_tile(int rows, const Tile& t) {
  switch (rows) {
    case kTileRows:
      return multiply_tile<Step, kTileRows, DepthInner, Whole>(t);
    case kTileRows * 2 / 3:
      return multiply_tile<Step, kTileRows * 2 / 3, DepthInner, Whole>(t);
    case kTileRows / 3:
      return multiply_tile<Step, kTileRows / 3, DepthInner, Whole>(t);
    default:
      return multiply_tile<Step, 1, DepthInner, Whole>(t);
  }
}

}  // namespace
}  // namespace octet::kernels
