// What a layer multiplies, without bias.
#pragma once
#include "nn/layers.h"

namespace octet::quant {

/// What a convolution or linear layer makes of src with `weight` in place of its own, without bias.
Variable products_of(const nn::Module& layer, const Variable& src, const Variable& weight);

}  // namespace octet::quant
