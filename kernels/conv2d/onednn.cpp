// oneDNN rows, for comparison.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/vendor_conv_onednn.h"

namespace octet::kernels {

#define OCTET_ONEDNN_ROW(pass, run)                                                                          \
  const char* conv2d_##pass##_f32_onednn_why_not(const Conv2dProblem& g) { return onednn::conv_why_not(g); } \
  void conv2d_##pass##_f32_onednn(const Conv2dProblem& g, const Conv2dPointers& io, const Context&) {        \
    onednn::run(g, false, io);                                                                               \
  }
OCTET_ONEDNN_ROW(fwd, conv_forward)
OCTET_ONEDNN_ROW(bwd_data, conv_backward_data)
OCTET_ONEDNN_ROW(bwd_weight, conv_backward_weight)
#undef OCTET_ONEDNN_ROW

}  // namespace octet::kernels
