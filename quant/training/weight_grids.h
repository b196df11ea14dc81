// Layers whose weights lie on a grid of codes.
#pragma once
#include "nn/module.h"

namespace octet::quant {

/// Convolutions and linear layers whose weight has a quantizer, with their paths, in the order of the net.
nn::Module::NamedModules layers_with_weight_grids(const nn::Module& model);
/// Throws Error "[where] …" when the model has none.
void require_weight_grids(const nn::Module& model, const char* where);

}  // namespace octet::quant
