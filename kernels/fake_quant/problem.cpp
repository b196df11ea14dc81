#include <fmt/core.h>

#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {

std::string FakeQuantProblem::str() const {
  return fmt::format("{}x{} z{} [{},{}] {}{}", channels, inner, zero_point, lo, hi,
                     rule == QuantRule::onnx ? "onnx" : "paddle", masked ? " masked" : "");
}

}  // namespace octet::kernels
