// The table of the room, and the weight as its rows read it.
#include "kernels/conv2d_act/conv2d_act.h"

namespace octet::kernels {

std::span<const Conv2dActRow> conv2d_act_rows() {
  static constexpr Conv2dActRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/conv2d_act/kernels.inc"
#undef KERNEL
  };
  return rows;
}

std::string Conv2dActProblem::str() const { return geometry.str() + ' ' + name_of(act); }

std::int64_t conv2d_act_weight_size(const ConvGeometry& g) {
  return (g.k + kConv2dActPanel - 1) / kConv2dActPanel * kConv2dActPanel * g.r * g.s * g.c;
}

void conv2d_act_weight(const ConvGeometry& g, const float* weight, float* packed) {
  const std::int64_t depth = g.r * g.s * g.c;
  for (std::int64_t first = 0; first < g.k; first += kConv2dActPanel)
    for (std::int64_t d = 0; d < depth; ++d)
      for (std::int64_t k = first; k < first + kConv2dActPanel; ++k) *packed++ = k < g.k ? weight[k * depth + d] : 0.0f;
}

}  // namespace octet::kernels
