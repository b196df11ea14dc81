#include "quant/calibration/products.h"

namespace octet::quant {

Variable products_of(const nn::Module& layer, const Variable& src, const Variable& weight) {
  const auto* conv = dynamic_cast<const nn::Conv2d*>(&layer);
  if (conv == nullptr) return ops::linear(src, weight, {});
  return conv->options().depthwise ? ops::dwconv2d(src, weight, {}, conv->args())
                                   : ops::conv2d(src, weight, {}, conv->args());
}

}  // namespace octet::quant
