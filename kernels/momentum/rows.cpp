#include <fmt/core.h>

#include "kernels/momentum/momentum.h"

namespace octet::kernels {

std::string MomentumProblem::str() const {
  return fmt::format("count {} lr {} momentum {} weight_decay {}{}", count, lr, momentum, weight_decay,
                     nesterov ? " nesterov" : "");
}

std::span<const MomentumRow> momentum_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr MomentumRow rows[] = {
#include "kernels/momentum/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
