#include "kernels/conv2d/conv2d.h"

#include "ops/common.h"
#include "ops/conv_common.h"
#include "ops/ops.h"

namespace octet::ops {

Variable conv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args) {
  constexpr const char* kOp = "conv2d";
  detail::check_float(kOp, "src", src);
  detail::check_rank(kOp, "src", src.value(), 4, "N,H,W,C");
  detail::check_like(kOp, "weight", weight, src.value());
  detail::check_rank(kOp, "weight", weight.value(), 4, "K,R,S,C");
  const Shape& w = weight.shape();
  OCTET_CHECK(src.shape()[3] == w[3], kOp, "src has {} channels, weight expects {} (src {}, weight {})", src.shape()[3],
              w[3], src.shape().str(), w.str());
  if (bias.defined()) detail::check_like(kOp, "bias", bias, src.value(), Shape{w[0]});

  kernels::Conv2dProblem problem =
      detail::checked_geometry(kOp, src.value(), w[1], w[2], args.stride_h, args.stride_w, args.pad_h, args.pad_w);
  problem.k = w[0];
  const detail::ConvPasses passes{kernels::conv2d_rows(), kOp, "conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weight"};
  return detail::convolve(passes, problem, src, weight, bias, detail::conv_attributes(args, bias.defined()));
}

}  // namespace octet::ops
