// The packed constants of windows.inl. Outputs whose window lies over the picture in the same way form a run; a run of
// rows crossed with a run of columns is a class, and has constants of its own: taps that would see padding are not
// among them, and the bias takes back the zero point of the others only.
//   header | rows DwRun | cols DwRun | offset of each class in a block | block …
//   block: multiplier f32 | bias_f32 f32 | class: bias s32, then groups [lane][tap of the group]     (in lane order)
#pragma once
#include <cstddef>

#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {

/// Outputs [begin, end) of an axis, whose taps [first, last) lie inside the picture.
struct DwRun {
  std::int64_t begin, end, first, last;
};

/// How a row's vectors hold a block.
struct DwLanes {
  std::int64_t channels;           ///< of a block
  std::int64_t taps;               ///< of a group
  std::size_t element;             ///< bytes of a packed weight: 1 or 2
  const std::uint8_t* channel_of;  ///< the channel of a block that stands in a lane
};

/// What pack_dw_windows() wrote.
struct DwWindows {
  std::int64_t row_runs = 0, col_runs = 0, blocks = 0;
  std::size_t block_bytes = 0;
  const DwRun *rows = nullptr, *cols = nullptr;
  const std::int64_t* classes = nullptr;  ///< offset in a block, [row run][col run]
  const char* first_block = nullptr;
};

/// Why constants of classes do not suit these windows, or null: they grow with the square of a window's taps.
inline const char* dw_windows_why_not(const ConvGeometry& geometry) {
  constexpr std::int64_t kLargest = 15;
  return geometry.r <= kLargest && geometry.s <= kLargest ? nullptr : "windows of more than 15 lines or columns";
}

std::size_t dw_windows_bytes(const ConvGeometry& geometry, const DwLanes& lanes);
/// `zero` is what a code holds in excess when it is multiplied: z_x, plus 128 where s8 codes are shifted to u8.
void pack_dw_windows(const IntConvProblem& problem, const DwLanes& lanes, const IntConvWeights& weights,
                     std::int32_t zero, void* packed);
DwWindows dw_windows(const void* packed);

}  // namespace octet::kernels
