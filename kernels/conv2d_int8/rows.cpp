#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {

std::span<const IntConvRow> conv2d_int8_rows() {
  static const IntConvRow rows[] = {
#define KERNEL(...) OCTET_INT_CONV_ROW(__VA_ARGS__)
#include "kernels/conv2d_int8/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
