#include "kernels/dorefa/dorefa.h"

namespace octet::kernels {

std::span<const DorefaRow> dorefa_rows() {
  static constexpr DorefaRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/dorefa/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
