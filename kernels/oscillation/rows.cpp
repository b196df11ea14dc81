#include "kernels/oscillation/oscillation.h"

namespace octet::kernels {

std::span<const OscillationRow> oscillation_rows() {
  static constexpr OscillationRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/oscillation/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
