// Depthwise convolution over integer codes (channel multiplier 1): conv2d_int8.h with k == c, weight C,R,S,1 and
//   a[n,p,q,c] = Σ_{r,s} (q_x[n, p·sh − ph + r, q·sw − pw + s, c] − z_x) · q_w[c,r,s] + q_b[c]      int32
// and the same stores.
#pragma once
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {

#define KERNEL(...) OCTET_DECLARE_INT_CONV(__VA_ARGS__)
#include "kernels/dwconv2d_int8/kernels.inc"
#include "kernels/dwconv2d_int8/kernels_vendor.inc"
#undef KERNEL

/// Pass: dwconv2d_int8_fwd.
std::span<const IntConvRow> dwconv2d_int8_rows();
/// Vendor rows, equal to ours bit for bit where they accept: for tests and benchmarks only. May be empty.
std::span<const IntConvRow> dwconv2d_int8_vendor_rows();

/// As plan_conv2d_int8, for geometry.k == geometry.c.
IntConvPlan plan_dwconv2d_int8(const IntConvProblem& problem, const IntConvWeights& weights,
                               Device device = Device::cpu);

}  // namespace octet::kernels
