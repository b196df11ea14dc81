#include <fmt/core.h>

#include "kernels/batchnorm/batchnorm.h"

namespace octet::kernels {

std::string BatchNormProblem::str() const { return fmt::format("pixels {} c {} {}", pixels, c, name_of(act)); }

std::span<const BatchNormRow> batchnorm_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr BatchNormRow rows[] = {
#include "kernels/batchnorm/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
