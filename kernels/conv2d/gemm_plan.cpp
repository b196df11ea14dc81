#include "kernels/conv2d/gemm_plan.h"

#include <algorithm>

namespace octet::kernels {
namespace {

constexpr std::int64_t kProcessors = 132;          // of a large device; a smaller one takes more turns
constexpr std::int64_t kLeastChunk = 128;          // depth that is worth a block
constexpr std::int64_t kMostPartial = 32'000'000;  // floats of chunks' sums, 128 MB
constexpr int kMostChunks = 1024;

struct Candidate {
  GemmTile tile;
  double cost;  // of a multiplication and addition, the largest tile's being 1: small ones load more for each
  bool without_vectors;
};
constexpr Candidate kCandidates[] = {{GemmTile::t128x128, 1.0, false},
                                     {GemmTile::t128x64, 1.15, false},
                                     {GemmTile::t64x64, 1.4, true},
                                     {GemmTile::t128x32, 1.5, true}};

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

GemmPlan with_chunks(GemmTile tile, std::int64_t depth, std::int64_t wanted) {
  if (wanted <= 1) return {tile, 1, depth};
  const std::int64_t chunk = ceil_div(ceil_div(depth, wanted), kGemmStep) * kGemmStep;
  return {tile, static_cast<int>(ceil_div(depth, chunk)), chunk};
}

/// Estimated time in multiplications of one processor.
double cost_of(const GemmPlan& plan, double cost, std::int64_t rows, std::int64_t cols, double speed) {
  constexpr double kStart = 48, kSecondKernel = 400'000, kPartial = 0.4;
  const auto [tile_rows, tile_cols] = shape_of(plan.tile);
  const std::int64_t blocks = ceil_div(rows, tile_rows) * ceil_div(cols, tile_cols) * plan.chunks;
  // A block alone on its processor waits for memory; two hide each other's waits.
  const double turns = std::max(1.5, static_cast<double>(ceil_div(blocks, kProcessors)));
  const double block = (static_cast<double>(plan.chunk_depth) + kStart) * tile_rows * tile_cols * cost;
  const double partials = static_cast<double>(rows) * static_cast<double>(cols) * plan.chunks;
  return turns * block / speed + (plan.chunks > 1 ? kSecondKernel + kPartial * partials : 0.0);
}

}  // namespace

GemmPlan gemm_plan(std::int64_t rows, std::int64_t cols, std::int64_t depth, bool vectors, double speed) {
  GemmPlan best{};
  double least = 0;
  for (const Candidate& candidate : kCandidates) {
    if (!vectors && !candidate.without_vectors) continue;
    const std::int64_t room = kMostPartial / std::max<std::int64_t>(rows * cols, 1);
    const std::int64_t most = std::min<std::int64_t>({depth / kLeastChunk, room, kMostChunks});
    for (std::int64_t wanted = 1; wanted == 1 || wanted <= most; wanted += std::max<std::int64_t>(1, wanted / 4)) {
      const GemmPlan plan = with_chunks(candidate.tile, depth, wanted);
      const double cost = cost_of(plan, candidate.cost, rows, cols, speed);
      if (best.chunks == 0 || cost < least) best = plan, least = cost;
    }
  }
  return best;
}

}  // namespace octet::kernels
