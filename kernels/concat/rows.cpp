#include "kernels/concat/concat.h"

namespace octet::kernels {

std::span<const ConcatRow> concat_rows() {
  static constexpr ConcatRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/concat/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
