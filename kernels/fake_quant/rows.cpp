#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {

std::span<const FakeQuantRow> fake_quant_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr FakeQuantRow rows[] = {
#include "kernels/fake_quant/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
