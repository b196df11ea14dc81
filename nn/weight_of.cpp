#include "core/error.h"
#include "nn/layers.h"

namespace octet::nn {
namespace {

/// visit(conv or linear).
template <class Visit>
decltype(auto) in_layer(const Module& layer, const Visit& visit) {
  if (const auto* conv = dynamic_cast<const Conv2d*>(&layer)) return visit(*conv);
  if (const auto* linear = dynamic_cast<const Linear*>(&layer)) return visit(*linear);
  fail("nn", fmt::format("a {} is no convolution or linear layer", layer.kind()));
}

}  // namespace

std::vector<std::string> layer_slot_names() {
  return {"input_transform", "weight_parametrization", "weight_transform", "bias_transform"};
}
const Variable& weight_of(const Module& layer) {
  return in_layer(layer, [](const auto& own) -> const Variable& { return own.weight; });
}
const Variable& bias_of(const Module& layer) {
  return in_layer(layer, [](const auto& own) -> const Variable& { return own.bias; });
}
Variable effective_weight_of(const Module& layer) {
  return in_layer(layer, [](const auto& own) { return own.effective_weight(); });
}
Tensor folded_factor_of(const Module& layer) {
  const auto* conv = dynamic_cast<const Conv2d*>(&layer);
  return conv != nullptr ? conv->folded_factor() : Tensor();
}
Variable folded_bias_of(const Module& layer) {
  const auto* conv = dynamic_cast<const Conv2d*>(&layer);
  return conv != nullptr ? conv->folded_bias() : bias_of(layer);
}

}  // namespace octet::nn
