#include "kernels/pool/pool.h"

namespace octet::kernels {

std::span<const PoolRow> pool_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr PoolRow rows[] = {
#include "kernels/pool/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
