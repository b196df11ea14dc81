// Modules made of modules: Sequential and the conv-bn-act block.
#include "nn/layers.h"
#include "nn/transform.h"

namespace octet::nn {
namespace {

// A tensor as the deferred form: nothing left to apply but `act`.
ops::Deferred deferred(const Variable& z, ops::Activation act = ops::Activation::none) {
  return {z, {}, act, {}, {}, true};
}

Conv2dOptions without_bias(Conv2dOptions options) {
  options.bias = false;
  return options;
}

}  // namespace

Sequential::Sequential(std::vector<std::shared_ptr<Module>> modules) {
  for (std::size_t i = 0; i < modules.size(); ++i) register_module(std::to_string(i), modules[i]);
}

// Neighbouring ConvBnAct blocks hand each other the deferred form, so that a fused implementation can skip the store.
Variable Sequential::forward(const Variable& src) {
  ops::Deferred x = deferred(src);
  for (const auto& [name, child] : children()) {
    if (auto block = dynamic_cast<ConvBnAct*>(child.get()))
      x = (*block)(x);
    else
      x = deferred((*child)(ops::materialise(x)));
  }
  return ops::materialise(x);
}

ConvBnAct::ConvBnAct(Conv2dOptions options, ops::Activation act) : act_(act) {
  conv = register_module("conv", std::make_shared<Conv2d>(without_bias(options)));
  bn = register_module("bn", std::make_shared<BatchNorm2d>(options.out_channels));
}

Variable ConvBnAct::forward(const Variable& src) { return ops::materialise((*this)(deferred(src))); }

ops::Deferred ConvBnAct::quantized_input(const ops::Deferred& src) const {
  const auto transform = conv->slot("input_transform");
  if (transform == nullptr || TransformBypass::active()) return src;
  std::optional<DeferredQuant> left;
  if (!src.quant) left = transform->defer(ops::range_of(src), src.z.value().device());
  if (!left) return deferred(conv->transformed_input(ops::materialise(src)));
  ops::Deferred input = src;
  input.quant = left->grid, input.scale = left->scale, input.masked = left->masked;
  return input;
}

ops::Deferred ConvBnAct::operator()(const ops::Deferred& src) {
  ScopeGuard scope(this);
  if (bn->folded()) return deferred((*conv)(ops::materialise(src)), act_);
  const ops::Deferred input = quantized_input(src);
  const Variable weight = conv->transformed_weight();
  ops::ConvBnActArgs args;
  args.conv = conv->args();
  args.depthwise = conv->options().depthwise;
  args.training = bn->is_training() && !bn->statistics_frozen();
  args.folded = bn->folds_while_training();
  args.act = act_;
  args.on_affine = [this](const Variable& affine) { return bn->transformed_affine(affine); };
  if (const auto quantizer = conv->slot("weight_transform"); quantizer != nullptr && !TransformBypass::active()) {
    args.weight_codes = quantizer->codes();
    args.wants_range = is_training();  // where weights are quantized, the next layer's input most likely is
  }
  return ops::conv_bn_act(input, weight, bn->gamma, bn->beta, bn->state, args);
}

}  // namespace octet::nn
