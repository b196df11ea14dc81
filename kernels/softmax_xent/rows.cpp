#include <fmt/core.h>

#include "kernels/softmax_xent/softmax_xent.h"

namespace octet::kernels {

std::string SoftmaxXentProblem::str() const {
  return fmt::format("pictures {} classes {} label_smoothing {}", pictures, classes, label_smoothing);
}

std::span<const SoftmaxXentRow> softmax_xent_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr SoftmaxXentRow rows[] = {
#include "kernels/softmax_xent/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
