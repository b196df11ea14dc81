#include "ops/conv_common.h"

namespace octet::ops::detail {
namespace {

using kernels::Conv2dPointers;

/// Gradients of {src, weight[, bias]}. The tensors are defined only where a gradient needs them.
std::vector<Tensor> convolve_backward(const ConvPasses& passes, const kernels::ConvGeometry& geometry,
                                      const Tensor& src, const Tensor& weight, const Shape& src_shape,
                                      const Shape& weight_shape, const Tensor& d_dst, const std::vector<bool>& needs) {
  std::vector<Tensor> grads(needs.size());
  const char* row = row_of(d_dst);
  if (needs[0]) {
    grads[0] = empty_like(d_dst, src_shape);
    Conv2dPointers p;
    p.weight = weight.raw(), p.d_dst = d_dst.raw(), p.d_src = grads[0].raw();
    kernels::dispatch(passes.rows, passes.bwd_data, row, geometry, p, context_of(d_dst));
  }
  const bool needs_bias = needs.size() > 2 && needs[2];
  if (needs[1] || needs_bias) {
    grads[1] = empty_like(d_dst, weight_shape);
    if (needs_bias) grads[2] = empty_like(d_dst, Shape{geometry.k});
    Conv2dPointers p;
    p.src = src.raw(), p.d_dst = d_dst.raw(), p.d_weight = grads[1].raw();
    p.d_bias = needs_bias ? grads[2].raw() : nullptr;
    kernels::dispatch(passes.rows, passes.bwd_weight, row, geometry, p, context_of(d_dst));
  }
  return grads;
}

}  // namespace

kernels::ConvGeometry checked_convolution(const Variable& src, const Variable& weight, const Conv2dArgs& args,
                                          bool depthwise) {
  const char* op = depthwise ? "dwconv2d" : "conv2d";
  check_float(op, "src", src);
  check_rank(op, "src", src.value(), 4, "N,H,W,C");
  check_like(op, "weight", weight, src.value());
  check_rank(op, "weight", weight.value(), 4, depthwise ? "C,R,S,1" : "K,R,S,C");
  const Shape& w = weight.shape();
  OCTET_CHECK(!depthwise || w[3] == 1, op, "weight must be C,R,S,1, it has shape {}", w.str());
  const std::int64_t expected = w[depthwise ? 0 : 3];
  OCTET_CHECK(src.shape()[3] == expected, op, "src has {} channels, weight expects {} (src {}, weight {})",
              src.shape()[3], expected, src.shape().str(), w.str());
  kernels::ConvGeometry geometry =
      checked_geometry(op, src.value(), w[1], w[2], args.stride_h, args.stride_w, args.pad_h, args.pad_w);
  geometry.k = w[0];
  return geometry;
}

Variable convolve(const ConvPasses& passes, const kernels::ConvGeometry& geometry, const Variable& src,
                  const Variable& weight, const Variable& bias, Attributes attributes) {
  Tensor dst = empty_like(src.value(), Shape{geometry.n, geometry.out_h(), geometry.out_w(), geometry.k});
  Conv2dPointers p;
  p.src = src.value().raw(), p.weight = weight.value().raw(), p.dst = dst.raw();
  p.bias = bias.defined() ? bias.value().raw() : nullptr;
  kernels::dispatch(passes.rows, passes.fwd, row_of(dst), geometry, p, context_of(dst));

  std::vector<Variable> inputs{src, weight};
  if (bias.defined()) inputs.push_back(bias);
  const Tensor saved_src = weight.requires_grad() || bias.requires_grad() ? src.value() : Tensor();
  const Tensor saved_weight = src.requires_grad() ? weight.value() : Tensor();
  return record(
      passes.op, std::move(attributes), std::move(inputs), std::move(dst),
      [=, src_shape = src.shape(), weight_shape = weight.shape()](const Tensor& d_dst, const std::vector<bool>& needs) {
        return convolve_backward(passes, geometry, saved_src, saved_weight, src_shape, weight_shape, d_dst, needs);
      });
}

}  // namespace octet::ops::detail
