#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {

std::span<const IntConvRow> dwconv2d_int8_vendor_rows() {
#if OCTET_X86 && OCTET_WITH_ONEDNN
  static const IntConvRow rows[] = {
#define KERNEL(...) OCTET_INT_CONV_ROW(__VA_ARGS__)
#include "kernels/dwconv2d_int8/kernels_vendor.inc"
#undef KERNEL
  };
  return rows;
#else
  return {};
#endif
}

}  // namespace octet::kernels
