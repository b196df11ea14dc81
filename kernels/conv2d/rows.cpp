// The table of the room.
#include "kernels/conv2d/conv2d.h"

namespace octet::kernels {

std::span<const Conv2dRow> conv2d_rows() {
  static constexpr Conv2dRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/conv2d/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
