#include "kernels/quantizer/quantizer.h"

namespace octet::kernels {

std::span<const QuantizerRow> quantizer_rows() {
  static constexpr QuantizerRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/quantizer/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
