#include "kernels/dwconv2d/dwconv2d.h"

#include "ops/common.h"
#include "ops/conv_common.h"
#include "ops/ops.h"

namespace octet::ops {

Variable dwconv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args) {
  constexpr const char* kOp = "dwconv2d";
  detail::check_float(kOp, "src", src);
  detail::check_rank(kOp, "src", src.value(), 4, "N,H,W,C");
  detail::check_like(kOp, "weight", weight, src.value());
  detail::check_rank(kOp, "weight", weight.value(), 4, "C,R,S,1");
  const Shape& w = weight.shape();
  OCTET_CHECK(w[3] == 1, kOp, "weight must be C,R,S,1, it has shape {}", w.str());
  OCTET_CHECK(src.shape()[3] == w[0], kOp, "src has {} channels, weight expects {} (src {}, weight {})", src.shape()[3],
              w[0], src.shape().str(), w.str());
  if (bias.defined()) detail::check_like(kOp, "bias", bias, src.value(), Shape{w[0]});

  const kernels::DwConv2dProblem problem =
      detail::checked_geometry(kOp, src.value(), w[1], w[2], args.stride_h, args.stride_w, args.pad_h, args.pad_w);
  const detail::ConvPasses passes{kernels::dwconv2d_rows(), kOp, "dwconv2d_fwd", "dwconv2d_bwd_data",
                                  "dwconv2d_bwd_weight"};
  return detail::convolve(passes, problem, src, weight, bias, detail::conv_attributes(args, bias.defined()));
}

}  // namespace octet::ops
