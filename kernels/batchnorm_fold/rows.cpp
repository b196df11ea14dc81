#include "kernels/batchnorm_fold/batchnorm_fold.h"

namespace octet::kernels {

std::span<const BatchNormFoldRow> batchnorm_fold_rows() {
  static constexpr BatchNormFoldRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/batchnorm_fold/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
