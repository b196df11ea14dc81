#include "kernels/conv2d_int8/gemm_work.h"

#include <algorithm>

namespace octet::kernels {
namespace {

/// Bytes of a block of rows: with a panel of columns it stays in the second-level cache.
constexpr std::int64_t kBlockBytes = 128 << 10;
/// Tiles of a task at most, so that small layers still make several tasks.
constexpr std::int64_t kBlockTiles = 8;
/// Output pixels of a task that reads padded lines, but a few lines at least, since its neighbours pad some of them
/// too.
constexpr std::int64_t kWindowPixels = 512, kWindowLines = 4;
/// Tasks below which a layer is cut by columns as well.
constexpr std::int64_t kFewTasks = 16;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void cut_pixels(const PackedLayout& layout, std::int64_t tile_rows, GemmWork& work) {
  const std::int64_t most = std::clamp<std::int64_t>(kBlockBytes / (tile_rows * layout.depth_padded), 1, kBlockTiles);
  const std::int64_t tiles = ceil_div(work.pixels, tile_rows);
  work.block_pixels = ceil_div(tiles, ceil_div(tiles, most)) * tile_rows;  // even ones
  work.blocks = ceil_div(work.pixels, work.block_pixels);
}

/// Whole pictures to a block, or where one is too large, some of its lines.
void cut_lines(const ConvGeometry& g, const PackedLayout& layout, GemmWork& work) {
  work.line_elements = line_elements(g, layout.group);
  const auto lines_for = [&](std::int64_t out_lines) { return (out_lines - 1) * g.stride_h + g.r; };
  const std::int64_t most_lines = std::max<std::int64_t>(kBlockBytes / work.line_elements, 1);
  const std::int64_t fitting = std::max<std::int64_t>((most_lines - g.r) / g.stride_h + 1, 1);
  const std::int64_t few = std::max(kWindowPixels / work.pixels, kWindowLines);
  work.block_lines = std::min({g.out_h(), fitting, few});
  work.padded_lines = lines_for(work.block_lines);
  if (work.block_lines == g.out_h()) {
    const std::int64_t pictures = std::min(most_lines / work.padded_lines, few / work.block_lines);
    work.block_pictures = std::clamp<std::int64_t>(pictures, 1, g.n);
  }
  work.blocks = ceil_div(g.n, work.block_pictures) * ceil_div(g.out_h(), work.block_lines);
}

}  // namespace

std::int64_t line_elements(const ConvGeometry& g, std::int64_t group) {
  return ((g.out_w() - 1) * g.stride_w + g.s) * g.c + group - 1;
}

GemmWork gemm_work(const IntConvProblem& problem, const PackedLayout& layout, std::int64_t tile_rows) {
  GemmWork work;
  work.layout = layout;
  work.direct = problem.geometry.is_pointwise();
  work.pixels = work.direct ? problem.geometry.out_pixels() : problem.geometry.out_w();
  if (work.direct)
    cut_pixels(layout, tile_rows, work);
  else
    cut_lines(problem.geometry, layout, work);
  work.panels = layout.columns_padded / layout.panel;
  // Every group of columns prepares its block anew, so layers are cut by columns only when there are few blocks.
  const std::int64_t groups = work.blocks < kFewTasks ? std::min(work.panels, kFewTasks / work.blocks) : 1;
  work.panels_per_group = ceil_div(work.panels, groups);
  work.column_groups = ceil_div(work.panels, work.panels_per_group);
  return work;
}

GemmBlock gemm_block(const IntConvProblem& problem, const GemmWork& work, std::int64_t index) {
  const ConvGeometry& g = problem.geometry;
  GemmBlock block;
  if (work.direct) {
    block.first = index * work.block_pixels;
    block.pixels = std::min(work.block_pixels, work.pixels - block.first);
    return block;
  }
  const std::int64_t parts = ceil_div(g.out_h(), work.block_lines);
  block.picture = index / parts * work.block_pictures;
  block.line = index % parts * work.block_lines;
  block.pictures = std::min(work.block_pictures, g.n - block.picture);
  block.lines = std::min(work.block_lines, g.out_h() - block.line);
  block.pixels = work.pixels;
  block.first = (block.picture * g.out_h() + block.line) * work.pixels;
  return block;
}

}  // namespace octet::kernels
