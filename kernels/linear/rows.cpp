// The table of the room.
#include <fmt/format.h>

#include "kernels/linear/linear.h"

namespace octet::kernels {

std::string LinearProblem::str() const { return fmt::format("m{} n{} k{}", m, n, k); }

std::span<const LinearRow> linear_rows() {
  static constexpr LinearRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/linear/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
