// oneDNN behind one door: its engine and stream, and the differences between the generations of its interface (2.x
// builds descriptors, 3.x primitive descriptors at once). For onednn.cpp files only.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>

#include "core/dtype.h"
#include "kernels/problem.h"

namespace octet::kernels::onednn {

dnnl::engine& engine();
dnnl::stream& stream();
/// Lets oneDNN's OpenMP use as many threads as our own rows do.
void use_our_threads();

/// A convolution as oneDNN sees it: logical N,C,H,W over memory in N,H,W,C; weights of a depthwise one are grouped.
struct ConvDescriptors {
  dnnl::memory::desc src, dst, bias;
  dnnl::memory::desc weight;      ///< ours: K,R,S,C (depthwise: C,R,S)
  dnnl::memory::desc any_weight;  ///< the layout is oneDNN's choice
  dnnl::memory::dims strides, padding;
  bool biased;
};
ConvDescriptors describe(const ConvGeometry& geometry, bool depthwise, bool biased);
/// The same over codes: src u8 or s8, weight s8, dst s32 sums, no bias.
ConvDescriptors describe_codes(const ConvGeometry& geometry, bool depthwise, bool src_signed);

/// 3.x adds a bias behind the scale, as floats; 2.x adds it to the sum, as s32.
constexpr bool kBiasIsScaled = DNNL_VERSION_MAJOR >= 3;
/// Codes of dtype src to dst (u8, s8 or f32), with a bias.
ConvDescriptors describe_fused(const ConvGeometry& geometry, bool depthwise, DType src, DType dst);

dnnl::convolution_forward::primitive_desc forward_of(const ConvDescriptors& conv,
                                                     const dnnl::primitive_attr& attributes = {});
dnnl::convolution_backward_data::primitive_desc backward_data_of(const ConvDescriptors& conv);
dnnl::convolution_backward_weights::primitive_desc backward_weight_of(const ConvDescriptors& conv);

}  // namespace octet::kernels::onednn
