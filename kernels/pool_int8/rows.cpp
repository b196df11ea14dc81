#include <fmt/core.h>

#include "kernels/pool_int8/pool_int8.h"

namespace octet::kernels {

std::string PoolInt8Problem::str() const {
  return geometry.str() + fmt::format(" {}-{} > {}-{}", name_of(src), z_x, name_of(dst), z);
}

std::span<const PoolInt8Row> pool_int8_rows() {
  static const PoolInt8Row rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/pool_int8/kernels.inc"
#undef KERNEL
  };
  return rows;
}

}  // namespace octet::kernels
