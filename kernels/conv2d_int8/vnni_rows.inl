// The rows of vpdpbusd at either width. Included after a simd header by a file that has defined Operand (u8), Weight (s8), kGroup
// (4), kRows, kVectors and dot().
// clang-format off: the order is meant
#include "kernels/conv2d_int8/u8_operand.inl"
#include "kernels/conv2d_int8/vector.inl"
#include "kernels/conv2d_int8/in_order.inl"
// clang-format on

#define OCTET_CONV_VNNI_ROW(dtypes, impl, is_signed)                                                                   \
  const char* conv2d_int8_fwd_##dtypes##_##impl##_why_not(const IntConvProblem&) { return nullptr; }                   \
  void conv2d_int8_fwd_##dtypes##_##impl(const IntConvProblem& p, const IntConvPointers& x, const Context&) {          \
    run<is_signed>(p, x);                                                                                              \
  }                                                                                                                    \
  std::size_t conv2d_int8_fwd_##dtypes##_##impl##_packed_bytes(const IntConvProblem& p) { return layout_of(p).bytes; } \
  void conv2d_int8_fwd_##dtypes##_##impl##_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) {      \
    pack_columns(layout_of(p), sizeof(Weight), w, p.z_x + (is_signed ? 128 : 0), packed);                              \
  }
