// oneDNN rows, for comparison.
#include "kernels/conv2d_int8/vendor_int_conv_onednn.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {

#define OCTET_ONEDNN_ROW(dtypes)                                                                                  \
  const char* dwconv2d_int8_fwd_##dtypes##_onednn_why_not(const IntConvProblem& p) {                              \
    return onednn::int_conv_why_not(p, true);                                                                     \
  }                                                                                                               \
  void dwconv2d_int8_fwd_##dtypes##_onednn(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    onednn::int_conv_run(p, true, x);                                                                             \
  }                                                                                                               \
  std::size_t dwconv2d_int8_fwd_##dtypes##_onednn_packed_bytes(const IntConvProblem& p) {                         \
    return onednn::int_conv_packed_bytes(p, true);                                                                \
  }                                                                                                               \
  void dwconv2d_int8_fwd_##dtypes##_onednn_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    onednn::int_conv_pack(p, true, w, packed);                                                                    \
  }
OCTET_ONEDNN_ROW(u8s8)
OCTET_ONEDNN_ROW(s8s8)
#undef OCTET_ONEDNN_ROW

}  // namespace octet::kernels
