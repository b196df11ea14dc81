#include <fmt/core.h>

#include "kernels/eltwise_int8/eltwise_int8.h"

namespace octet::kernels {

std::string EltwiseInt8Problem::str() const {
  return fmt::format("{}x{} {}-{} {}-{} > {}-{} [{}, {}]", rows, c, name_of(a), z_a, name_of(b), z_b, name_of(dst), z,
                     lo, hi);
}

std::span<const EltwiseInt8Row> eltwise_int8_rows() {
  static const EltwiseInt8Row rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/eltwise_int8/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
