#include "kernels/dwconv2d_bn/dwconv2d_bn.h"

#include "kernels/conv_bn_reference.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {
namespace {

constexpr ConvReference kConv{dwconv2d_fwd_f32_reference, dwconv2d_bwd_data_f32_reference,
                              dwconv2d_bwd_weight_f32_reference};

}  // namespace

const char* dwconv2d_bn_fwd_f32_reference_why_not(const ConvBnProblem&) { return nullptr; }
void dwconv2d_bn_fwd_f32_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  reference_forward(kConv, p, io);
}
const char* dwconv2d_bn_bwd_f32_reference_why_not(const ConvBnProblem&) { return nullptr; }
void dwconv2d_bn_bwd_f32_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  reference_backward(kConv, p, io);
}

}  // namespace octet::kernels
