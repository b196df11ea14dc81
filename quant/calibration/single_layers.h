// Layers of a prepared net that can be changed one by one.
#pragma once
#include <vector>

#include "quant/deployment/draft.h"

namespace octet::quant {

/// The nodes of convolutions and linear layers whose weight and input have quantizers, and that run once, in the order
/// of the net. `drafts` must outlive them.
std::vector<const PlanNode*> single_layers(const Drafts& drafts);

/// What becomes of such a layer's products: f32 {2, k}, row 0 a factor, row 1 what is added, from its own bias and the
/// batch norm behind it. The model must lie on the host.
Tensor affine_behind(const PlanNode& node);

}  // namespace octet::quant
