// How the integer GEMM rows cut a convolution. A pointwise one multiplies the pixels of src as they lie. Any other
// reads its windows from padded lines: copies of the source lines that a task needs, with z_x around them, in which the
// s·c codes under a filter row are neighbours and the next output's lie stride_w·c further. Follows from the problem
// alone.
#pragma once
#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {

struct GemmWork {
  PackedLayout layout;
  bool direct = false;             ///< pixels of src as they lie
  std::int64_t blocks = 1;         ///< of output pixels
  std::int64_t column_groups = 1;  ///< tasks of a block, panels_per_group panels each
  std::int64_t panels = 1, panels_per_group = 1;
  std::int64_t pixels = 0;                           ///< direct: of src; else of an output line
  std::int64_t block_pixels = 1;                     ///< direct: of a block
  std::int64_t block_pictures = 1, block_lines = 1;  ///< else: pictures of a block, and output lines of each
  std::int64_t line_elements = 0, padded_lines = 0;  ///< of a padded line; lines of a picture that a block pads
  std::int64_t padded_elements() const { return block_pictures * padded_lines * line_elements; }
};

/// tile_rows: rows of the row's register tile. panel_order offsets of `layout` assume its line_elements().
GemmWork gemm_work(const IntConvProblem& problem, const PackedLayout& layout, std::int64_t tile_rows);

/// Elements of a padded line; the last window's last group does not leave it.
std::int64_t line_elements(const ConvGeometry& geometry, std::int64_t group);

/// Output pixels of a task, as lines that are evenly cut: `pictures` × `lines` × `pixels` from output pixel `first`.
struct GemmBlock {
  std::int64_t first = 0, pictures = 1, lines = 1, pixels = 0;
  std::int64_t picture = 0, line = 0;  ///< not direct: where it begins
};
GemmBlock gemm_block(const IntConvProblem& problem, const GemmWork& work, std::int64_t index);

}  // namespace octet::kernels
