#include "kernels/conv2d/conv2d.h"

#include "ops/conv_common.h"

namespace octet::ops {

Variable conv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args) {
  const kernels::ConvGeometry geometry = detail::checked_convolution(src, weight, args, false);
  if (bias.defined()) detail::check_like("conv2d", "bias", bias, src.value(), Shape{geometry.k});
  const detail::ConvPasses passes{kernels::conv2d_rows(), "conv2d", "conv2d_fwd", "conv2d_bwd_data",
                                  "conv2d_bwd_weight"};
  return detail::convolve(passes, geometry, src, weight, bias, detail::conv_attributes(args, bias.defined()));
}

}  // namespace octet::ops
