#include "kernels/conv2d_int8/gemm_work.h"

#include <algorithm>
#include <cstring>

namespace octet::kernels {
namespace {

/// Bytes of a block of rows: with a panel of columns it stays in the second-level cache.
constexpr std::int64_t kBlockBytes = 128 << 10;
/// Tiles of a task at most, so that small layers still make several tasks.
constexpr std::int64_t kBlockTiles = 8;
/// Tasks below which a layer is cut by columns as well.
constexpr std::int64_t kFewTasks = 8;

/// Where the codes of src end, and the padding code.
struct Source {
  const std::uint8_t* end;
  int pad;
};

/// One filter row for one output: s·c codes, contiguous in src where they lie inside the picture.
void gather_filter_row(const ConvGeometry& g, const Source& source, const std::uint8_t* line, std::int64_t left,
                       std::uint8_t* out) {
  if (left >= 0 && left + g.s <= g.w) {
    const std::int64_t bytes = g.s * g.c;
    const std::uint8_t* from = line + left * g.c;
    // Few codes, as in a first layer: one fixed-size copy, whose surplus the next writes put right.
    if (bytes <= kGatherSlack && source.end - from >= kGatherSlack)
      std::memcpy(out, from, kGatherSlack);
    else
      std::memcpy(out, from, static_cast<std::size_t>(bytes));
    return;
  }
  const std::int64_t before = std::clamp<std::int64_t>(-left, 0, g.s);
  const std::int64_t after = std::clamp<std::int64_t>(left + g.s - g.w, 0, g.s - before);
  const std::int64_t inside = g.s - before - after;
  std::memset(out, source.pad, static_cast<std::size_t>(before * g.c));
  if (inside > 0) std::memcpy(out + before * g.c, line + (left + before) * g.c, static_cast<std::size_t>(inside * g.c));
  std::memset(out + (before + inside) * g.c, source.pad, static_cast<std::size_t>(after * g.c));
}

/// One row of the gathered matrix.
void gather_row(const ConvGeometry& g, const Source& source, const std::uint8_t* picture, std::int64_t top,
                std::int64_t left, std::uint8_t* out) {
  const std::int64_t filter_row = g.s * g.c;
  for (std::int64_t r = 0; r < g.r; ++r, out += filter_row) {
    if (top + r < 0 || top + r >= g.h)
      std::memset(out, source.pad, static_cast<std::size_t>(filter_row));
    else
      gather_filter_row(g, source, picture + (top + r) * g.w * g.c, left, out);
  }
}

}  // namespace

GemmWork gemm_work(const IntConvProblem& problem, const PackedLayout& layout, std::int64_t tile_rows) {
  GemmWork work;
  work.layout = layout;
  work.rows = problem.geometry.out_pixels();
  work.direct = problem.geometry.is_pointwise();
  const std::int64_t tiles = std::clamp<std::int64_t>(kBlockBytes / (tile_rows * layout.depth_padded), 1, kBlockTiles);
  work.block_rows = tiles * tile_rows;
  work.row_blocks = (work.rows + work.block_rows - 1) / work.block_rows;
  work.panels = layout.columns_padded / layout.panel;
  // Every group of columns gathers its rows anew, so gathered layers are cut only when there is one block of rows.
  const bool cut = work.direct ? work.row_blocks < kFewTasks : work.row_blocks == 1;
  const std::int64_t groups = cut ? std::min(work.panels, kFewTasks / work.row_blocks) : 1;
  work.panels_per_group = (work.panels + groups - 1) / groups;
  work.column_groups = (work.panels + work.panels_per_group - 1) / work.panels_per_group;
  return work;
}

void gather_rows(const IntConvProblem& problem, const void* src, std::int64_t first, std::int64_t count,
                 std::int64_t stride, std::uint8_t* out) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t out_h = g.out_h(), out_w = g.out_w(), picture_codes = g.h * g.w * g.c, depth = conv_depth(g);
  const auto* codes = static_cast<const std::uint8_t*>(src);
  const Source source{codes + g.n * picture_codes, problem.z_x & 0xff};
  std::int64_t q = first % out_w, p = first / out_w % out_h;
  const std::uint8_t* picture = codes + first / (out_w * out_h) * picture_codes;
  for (std::int64_t row = 0; row < count; ++row, out += stride) {
    gather_row(g, source, picture, p * g.stride_h - g.pad_h, q * g.stride_w - g.pad_w, out);
    for (std::int64_t d = depth; d < stride; ++d) out[d] = 0;
    if (++q < out_w) continue;
    q = 0;
    if (++p < out_h) continue;
    p = 0;
    picture += picture_codes;
  }
}

}  // namespace octet::kernels
