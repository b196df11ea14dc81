#include "kernels/quantize/quantize.h"

namespace octet::kernels {

std::span<const QuantizeRow> quantize_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr QuantizeRow rows[] = {
#include "kernels/quantize/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
