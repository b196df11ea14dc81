// Convolutions of f32 by oneDNN, dense and depthwise: the rows of both rooms. Primitives are kept by geometry.
#pragma once
#include "kernels/conv2d/conv2d.h"

namespace octet::kernels::onednn {

/// Null, or why oneDNN is not asked.
const char* conv_why_not(const ConvGeometry& geometry);
void conv_forward(const ConvGeometry& geometry, bool depthwise, const Conv2dPointers& io);
void conv_backward_data(const ConvGeometry& geometry, bool depthwise, const Conv2dPointers& io);
void conv_backward_weight(const ConvGeometry& geometry, bool depthwise, const Conv2dPointers& io);

}  // namespace octet::kernels::onednn
