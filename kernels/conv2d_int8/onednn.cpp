// oneDNN rows, for comparison.
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/conv2d_int8/vendor_int_conv_onednn.h"

namespace octet::kernels {

#define OCTET_ONEDNN_ROW(dtypes)                                                                                \
  const char* conv2d_int8_fwd_##dtypes##_onednn_why_not(const IntConvProblem& p) {                              \
    return onednn::int_conv_why_not(p, false);                                                                  \
  }                                                                                                             \
  void conv2d_int8_fwd_##dtypes##_onednn(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    onednn::int_conv_run(p, false, x);                                                                          \
  }                                                                                                             \
  std::size_t conv2d_int8_fwd_##dtypes##_onednn_packed_bytes(const IntConvProblem& p) {                         \
    return onednn::int_conv_packed_bytes(p, false);                                                             \
  }                                                                                                             \
  void conv2d_int8_fwd_##dtypes##_onednn_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    onednn::int_conv_pack(p, false, w, packed);                                                                 \
  }
OCTET_ONEDNN_ROW(u8s8)
OCTET_ONEDNN_ROW(s8s8)
#undef OCTET_ONEDNN_ROW

}  // namespace octet::kernels
