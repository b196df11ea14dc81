#include "kernels/dwconv2d/dwconv2d.h"

#include "ops/conv_common.h"

namespace octet::ops {

Variable dwconv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args) {
  const kernels::ConvGeometry geometry = detail::checked_convolution(src, weight, args, true);
  if (bias.defined()) detail::check_like("dwconv2d", "bias", bias, src.value(), Shape{geometry.k});
  const detail::ConvPasses passes{kernels::dwconv2d_rows(), "dwconv2d", "dwconv2d_fwd", "dwconv2d_bwd_data",
                                  "dwconv2d_bwd_weight"};
  return detail::convolve(passes, geometry, src, weight, bias, detail::conv_attributes(args, bias.defined()));
}

}  // namespace octet::ops
