// Depthwise convolution with batch norm split into its neighbours; formulas and pointers in kernels/conv_bn.h.
// Passes: dwconv2d_bn_fwd, dwconv2d_bn_bwd (f32). Vector rows take problems whose pictures fill whole reduction chunks
// (why_not says so); `reference` takes everything by composing the plain rooms' reference rows.
#pragma once
#include "kernels/conv_bn.h"

namespace octet::kernels {

#define KERNEL(...) OCTET_DECLARE_KERNEL(ConvBnProblem, ConvBnPointers, __VA_ARGS__)
#include "kernels/dwconv2d_bn/kernels.inc"
#undef KERNEL

std::span<const ConvBnRow> dwconv2d_bn_rows();

}  // namespace octet::kernels
