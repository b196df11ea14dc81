#include <fmt/core.h>

#include "kernels/augment/augment.h"

namespace octet::kernels {

std::string AugmentProblem::str() const { return fmt::format("n{} {}x{}x{}", count, h, w, c); }

std::span<const AugmentRow> augment_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr AugmentRow rows[] = {
#include "kernels/augment/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
