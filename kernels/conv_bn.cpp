#include "kernels/conv_bn.h"

#include <fmt/core.h>

namespace octet::kernels {

std::string ConvBnProblem::str() const {
  const std::string grid = quantized ? fmt::format(" codes {}..{} zero {}", lo, hi, zero_point) : "";
  return fmt::format("{}{} {}{}", geometry.str(), mapped ? " affine" : "", name_of(act), grid);
}

}  // namespace octet::kernels
