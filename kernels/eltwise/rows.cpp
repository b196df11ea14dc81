#include <fmt/core.h>

#include "kernels/eltwise/eltwise.h"

namespace octet::kernels {

std::string EltwiseProblem::str() const { return fmt::format("count {} c {} {}", count, c, name_of(act)); }

std::span<const EltwiseRow> eltwise_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr EltwiseRow rows[] = {
#include "kernels/eltwise/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
