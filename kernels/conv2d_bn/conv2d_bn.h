// Convolution with batch norm split into its neighbours; formulas and pointers in kernels/conv_bn.h.
// Passes: conv2d_bn_fwd (f32; bf16: products of operands rounded to it; u8s8 and s8s8: source quantized to codes while it
// is loaded, integer products), conv2d_bn_bwd (f32, bf16). Vector rows take 1x1 convolutions with any map and other
// windows without one; `reference` takes everything by composing the plain rooms' reference rows.
#pragma once
#include "kernels/conv_bn.h"

namespace octet::kernels {

#define KERNEL(...) OCTET_DECLARE_KERNEL(ConvBnProblem, ConvBnPointers, __VA_ARGS__)
#include "kernels/conv2d_bn/kernels.inc"
#undef KERNEL

std::span<const ConvBnRow> conv2d_bn_rows();

}  // namespace octet::kernels
