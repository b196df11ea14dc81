// Depthwise convolution (channel multiplier 1), forward and backward, in f32 and f64. k == c; weight is C,R,S,1.
// Same bits: fwd sums taps in (r,s) order by FMA from zero, skipping taps outside the picture, then adds the bias.
// bwd_data: for every src pixel, taps in (r,s) order by FMA from zero, outside ones skipped. bwd_weight:
// reduction_chunk() over output pixels in order, FMA inside a chunk, pixels whose tap lies outside skipped.
#pragma once
#include "kernels/conv2d/conv2d.h"

namespace octet::kernels {

using DwConv2dProblem = ConvGeometry;
using DwConv2dPointers = Conv2dPointers;
using DwConv2dRow = Row<DwConv2dProblem, DwConv2dPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(DwConv2dProblem, DwConv2dPointers, __VA_ARGS__)
#include "kernels/dwconv2d/kernels.inc"
#undef KERNEL

/// Passes: dwconv2d_fwd, dwconv2d_bwd_data, dwconv2d_bwd_weight.
std::span<const DwConv2dRow> dwconv2d_rows();

}  // namespace octet::kernels
