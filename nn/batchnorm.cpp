#include <cmath>

#include "nn/layers.h"
#include "nn/transform.h"

namespace octet::nn {

BatchNorm2d::BatchNorm2d(std::int64_t channels, double momentum, double epsilon) {
  OCTET_CHECK(channels > 0, "BatchNorm2d", "channels {} must be positive", channels);
  OCTET_CHECK(momentum >= 0 && momentum <= 1 && epsilon > 0, "BatchNorm2d",
              "momentum {} is not in [0, 1], or epsilon {} not positive", momentum, epsilon);
  gamma = register_parameter("gamma", Tensor::full({channels}, 1));
  beta = register_parameter("beta", Tensor::zeros({channels}));
  state.running_mean = register_buffer("running_mean", Tensor::zeros({channels}));
  state.running_var = register_buffer("running_var", Tensor::full({channels}, 1));
  state.momentum = momentum;
  state.epsilon = epsilon;
}

Variable BatchNorm2d::affine(const Variable& z) {
  OCTET_CHECK(!folded_, "BatchNorm2d", "a folded batch norm has no affine map of its own");
  ScopeGuard scope(this);
  return ops::batchnorm_affine(z, gamma, beta, state, is_training() && !frozen_, folds_while_training());
}

void BatchNorm2d::fold_while_training(Conv2d& conv) {
  OCTET_CHECK(!folded_ && folded_scale_ == nullptr, "BatchNorm2d", "this batch norm is folded already");
  OCTET_CHECK(conv.weight.shape()[0] == gamma.shape()[0], "BatchNorm2d", "{} channels cannot fold into {} filters",
              gamma.shape()[0], conv.weight.shape()[0]);
  folded_scale_ = std::make_shared<FoldedScale>(FoldedScale{gamma, state, true});
  conv.folded_scale_ = folded_scale_;
}

void BatchNorm2d::stop_folding() {
  if (folded_scale_ != nullptr) folded_scale_->on = false;
  folded_scale_ = nullptr;
}

bool BatchNorm2d::folds_while_training() const { return folded_scale_ != nullptr && !TransformBypass::active(); }

Variable BatchNorm2d::transformed_affine(const Variable& affine) const {
  return through_slot("affine_transform", affine);
}

void BatchNorm2d::fold_into(Conv2d& conv) {
  OCTET_CHECK(!folded_ && folded_scale_ == nullptr, "BatchNorm2d", "this batch norm is folded already");
  NoGrad no_grad;
  const Tensor map = ops::batchnorm_affine({}, gamma, beta, state, false).value().to(Device::cpu);
  const std::int64_t channels = map.shape()[1];
  OCTET_CHECK(conv.weight.shape()[0] == channels, "BatchNorm2d", "{} channels cannot fold into {} filters", channels,
              conv.weight.shape()[0]);
  const float* scale = map.data<float>();
  const float* shift = scale + channels;
  Tensor weight = conv.weight.value().to(Device::cpu);
  const std::int64_t inner = weight.numel() / channels;
  for (std::int64_t i = 0; i < channels * inner; ++i) weight.data<float>()[i] *= scale[i / inner];
  Tensor bias = conv.bias.defined() ? conv.bias.value().to(Device::cpu) : Tensor::zeros({channels});
  for (std::int64_t c = 0; c < channels; ++c)
    bias.data<float>()[c] = std::fma(bias.data<float>()[c], scale[c], shift[c]);
  conv.weight.value().copy_from(weight);
  if (!conv.bias.defined())
    conv.add_bias(bias.to(conv.weight.value().device()));
  else
    conv.bias.value().copy_from(bias);
  unregister_state();
  gamma = beta = {};
  folded_ = true;
}

Variable BatchNorm2d::forward(const Variable& src) {
  if (folded_) return src;
  return ops::affine_act(src, transformed_affine(affine(src)), ops::Activation::none);
}

}  // namespace octet::nn
