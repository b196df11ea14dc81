// The table of the room.
#include "kernels/conv2d_bn/conv2d_bn.h"

namespace octet::kernels {

std::span<const ConvBnRow> conv2d_bn_rows() {
  static constexpr ConvBnRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/conv2d_bn/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
