// How the integer GEMM rows cut a convolution: src pixels become rows of a matrix (as they lie, or gathered),
// multiplied by panels of packed columns. Follows from the problem alone.
#pragma once
#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {

struct GemmWork {
  PackedLayout layout;
  std::int64_t rows = 0;        ///< output pixels
  bool direct = false;          ///< rows are the pixels of src as they lie
  std::int64_t block_rows = 1;  ///< rows of a task
  std::int64_t row_blocks = 1;
  std::int64_t column_groups = 1;  ///< tasks of one block of rows, panels_per_group panels each
  std::int64_t panels = 1, panels_per_group = 1;
};

/// tile_rows: rows of the row's register tile.
GemmWork gemm_work(const IntConvProblem& problem, const PackedLayout& layout, std::int64_t tile_rows);

/// Bytes beyond the gathered rows that gather_rows may overwrite.
inline constexpr std::int64_t kGatherSlack = 16;
/// Writes `count` rows of the gathered matrix from row `first`: the r·s·c codes under the filter, z_x where it leaves
/// the picture, zeros from there to `stride` bytes. What follows the last row is scratch too, for kGatherSlack bytes.
void gather_rows(const IntConvProblem& problem, const void* src, std::int64_t first, std::int64_t count,
                 std::int64_t stride, std::uint8_t* out);

}  // namespace octet::kernels
