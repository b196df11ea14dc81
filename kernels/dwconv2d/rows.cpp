// The table of the room.
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {

std::span<const DwConv2dRow> dwconv2d_rows() {
  static constexpr DwConv2dRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/dwconv2d/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
