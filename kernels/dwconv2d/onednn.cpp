// oneDNN rows, for comparison.
#include "kernels/conv2d/vendor_conv_onednn.h"
#include "kernels/dwconv2d/dwconv2d.h"

namespace octet::kernels {

#define OCTET_ONEDNN_ROW(pass, run)                                                                              \
  const char* dwconv2d_##pass##_f32_onednn_why_not(const DwConv2dProblem& g) { return onednn::conv_why_not(g); } \
  void dwconv2d_##pass##_f32_onednn(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context&) {      \
    onednn::run(g, true, io);                                                                                    \
  }
OCTET_ONEDNN_ROW(fwd, conv_forward)
OCTET_ONEDNN_ROW(bwd_data, conv_backward_data)
OCTET_ONEDNN_ROW(bwd_weight, conv_backward_weight)
#undef OCTET_ONEDNN_ROW

}  // namespace octet::kernels
