// The arithmetic of a picture on its way from bytes to what a model reads: shared by data/, the host's rows and the device's.
#pragma once
#include <cstdint>

#include "core/host_device.h"

namespace octet::kernels {

/// How a picture is seen: shifted over a border of zeros (of the normalised range), then mirrored or not, then a square of
/// zeros over it, which may reach out.
struct View {
  std::int8_t down = 0, right = 0;
  std::uint8_t mirrored = 0;
  std::int8_t hole_row = 0, hole_column = 0;
  std::uint8_t hole_side = 0;
};

/// (x − 127.5) / 127.5, difference and quotient rounded to f32.
OCTET_HD inline float normalised(std::uint8_t byte) { return (static_cast<float>(byte) - 127.5f) / 127.5f; }

/// Row of the picture that is seen in `row`; outside of [0, height): border.
OCTET_HD inline std::int64_t seen_row(std::int64_t row, View view) { return row + view.down; }
/// Column of the picture that is seen in `column`; outside of [0, width): border.
OCTET_HD inline std::int64_t seen_column(std::int64_t column, std::int64_t width, View view) {
  return (view.mirrored ? width - 1 - column : column) + view.right;
}
/// Whether the square covers what is seen there.
OCTET_HD inline bool in_hole(std::int64_t row, std::int64_t column, View view) {
  return row >= view.hole_row && row < view.hole_row + view.hole_side && column >= view.hole_column &&
         column < view.hole_column + view.hole_side;
}

}  // namespace octet::kernels
