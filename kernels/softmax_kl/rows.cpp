#include "kernels/softmax_kl/softmax_kl.h"

namespace octet::kernels {

std::span<const SoftmaxKlRow> softmax_kl_rows() {
  static constexpr SoftmaxKlRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/softmax_kl/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
