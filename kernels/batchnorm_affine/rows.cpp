#include "kernels/batchnorm_affine/batchnorm_affine.h"

namespace octet::kernels {

std::span<const BatchNormAffineRow> batchnorm_affine_rows() {
  static constexpr BatchNormAffineRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/batchnorm_affine/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
