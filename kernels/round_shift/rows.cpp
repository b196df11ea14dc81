#include "kernels/round_shift/round_shift.h"

namespace octet::kernels {

std::span<const RoundShiftRow> round_shift_rows() {
  static constexpr RoundShiftRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/round_shift/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
