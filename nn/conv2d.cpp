#include "nn/init.h"
#include "nn/layers.h"
#include "nn/transform.h"

namespace octet::nn {

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  OCTET_CHECK(options.in_channels > 0 && options.out_channels > 0 && options.kernel_h > 0 && options.kernel_w > 0,
              "Conv2d", "channels {} -> {} and kernel {}x{} must be positive", options.in_channels,
              options.out_channels, options.kernel_h, options.kernel_w);
  OCTET_CHECK(options.stride > 0 && options.padding >= 0, "Conv2d",
              "stride {} must be positive, padding {} not negative", options.stride, options.padding);
  OCTET_CHECK(!options.depthwise || options.in_channels == options.out_channels, "Conv2d",
              "a depthwise convolution keeps its channels, not {} -> {}", options.in_channels, options.out_channels);
  const std::int64_t read = options.depthwise ? 1 : options.in_channels;
  Tensor w({options.out_channels, options.kernel_h, options.kernel_w, read});
  fill_normal(w, he_sigma(options.kernel_h * options.kernel_w * read), 0, 0);
  weight = register_parameter("weight", w);
  if (options.bias) bias = register_parameter("bias", Tensor::zeros({options.out_channels}));
}

void Conv2d::set_stride(std::int64_t stride) {
  OCTET_CHECK(stride > 0, "Conv2d", "stride {} must be positive", stride);
  options_.stride = stride;
}

ops::Conv2dArgs Conv2d::args() const { return {options_.stride, options_.stride, options_.padding, options_.padding}; }

void Conv2d::add_bias(Tensor value) {
  OCTET_CHECK(!bias.defined(), "Conv2d", "this convolution has a bias already");
  OCTET_CHECK(value.shape() == Shape{options_.out_channels}, "Conv2d", "bias of shape {} for {} filters",
              value.shape().str(), options_.out_channels);
  const DeviceScope there(weight.value().device());
  bias = register_parameter("bias", std::move(value));
  options_.bias = true;
}

bool Conv2d::folds() const { return folded_scale_ != nullptr && folded_scale_->on && !TransformBypass::active(); }

Tensor Conv2d::folded_factor() const {
  if (!folds()) return {};
  const NoGrad no_grad;
  const Tensor& w = weight.value();
  return folded(Variable(Tensor::full({options_.out_channels}, 1, w.dtype(), w.device()))).value();
}

Variable Conv2d::folded(const Variable& parameter) const {
  return folds() && parameter.defined() ? ops::fold_batchnorm(parameter, folded_scale_->gamma, folded_scale_->state)
                                        : parameter;
}

Variable Conv2d::forward(const Variable& src) {
  const Variable x = transformed_input(src);
  const Variable w = transformed_weight();
  const Variable b = bias.defined() ? through_slot("bias_transform", folded_bias()) : bias;
  return options_.depthwise ? ops::dwconv2d(x, w, b, args()) : ops::conv2d(x, w, b, args());
}

}  // namespace octet::nn
