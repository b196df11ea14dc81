#include "kernels/problem.h"

#include <fmt/core.h>

namespace octet::kernels {

std::string ConvGeometry::str() const {
  return fmt::format("n{} {}x{}x{} k{} {}x{} s{}x{} p{}x{}", n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w);
}

const char* name_of(Activation act) {
  switch (act) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::relu6:
      return "relu6";
  }
  return "unknown";
}

}  // namespace octet::kernels
