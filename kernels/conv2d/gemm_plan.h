// How the device divides a matrix product among its blocks. A pure function of the extents, so that sums have the same
// order on every device.
#pragma once
#include <cstdint>

namespace octet::kernels {

/// Extents of a block's part of the result. A block has kGemmThreads threads.
enum class GemmTile : std::uint8_t { t128x128, t128x64, t64x64, t128x32 };
constexpr int kGemmThreads = 256;
/// Steps of the depth that a block takes at once.
constexpr int kGemmStep = 16;

struct GemmTileShape {
  int rows, cols;
};
constexpr GemmTileShape shape_of(GemmTile tile) {
  switch (tile) {
    case GemmTile::t128x128:
      return {128, 128};
    case GemmTile::t128x64:
      return {128, 64};
    case GemmTile::t64x64:
      return {64, 64};
    case GemmTile::t128x32:
      return {128, 32};
  }
  return {0, 0};
}

/// The result in tiles; the depth in chunks, each summed on its own, then added in order.
struct GemmPlan {
  GemmTile tile;
  int chunks;  ///< at least 1
  std::int64_t
      chunk_depth;  ///< a multiple of kGemmStep when there are several; the last chunk may be shorter, none is empty
  friend bool operator==(const GemmPlan&, const GemmPlan&) = default;
};

/// For rows · cols sums over `depth`. vectors: operands can be read in float4; others have the small tiles only. speed:
/// multiplications in the time of one in f32.
GemmPlan gemm_plan(std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors, double speed = 1);

}  // namespace octet::kernels
