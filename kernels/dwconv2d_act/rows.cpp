// The table of the room, its problem's name and its weight's order.
#include "kernels/dwconv2d_act/dwconv2d_act.h"

namespace octet::kernels {

std::string DwConv2dActProblem::str() const { return geometry.str() + ' ' + name_of(act); }

std::span<const DwConv2dActRow> dwconv2d_act_rows() {
  static constexpr DwConv2dActRow rows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/dwconv2d_act/kernels.inc"
#undef KERNEL
  };
  return rows;
}

void dwconv2d_act_weight(const ConvGeometry& g, const float* weight, float* taps) {
  const std::int64_t window = g.r * g.s;
  for (std::int64_t c = 0; c < g.c; ++c)
    for (std::int64_t t = 0; t < window; ++t) taps[t * g.c + c] = weight[c * window + t];
}

}  // namespace octet::kernels
