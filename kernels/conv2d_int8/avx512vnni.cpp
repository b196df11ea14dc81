// vpdpbusd: four u8·s8 products into a lane, without saturation.
#include "kernels/simd_avx512.h"

#include "kernels/conv2d_int8/gemm_work.h"
#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Operand = std::uint8_t;
using Weight = std::int8_t;
constexpr int kGroup = 4, kRows = 14, kVectors = 2;

OCTET_SIMD VecI dot(VecI acc, VecI a, VecI b) { return {_mm512_dpbusd_epi32(acc.v, a.v, b.v)}; }

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/u8_operand.inl"
#include "kernels/conv2d_int8/vector.inl"
#include "kernels/conv2d_int8/in_order.inl"

namespace octet::kernels {

#define OCTET_VNNI_ROW(dtypes, is_signed)                                                                           \
  const char* conv2d_int8_fwd_##dtypes##_avx512vnni_why_not(const IntConvProblem&) { return nullptr; }              \
  void conv2d_int8_fwd_##dtypes##_avx512vnni(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    run<is_signed>(p, x);                                                                                           \
  }                                                                                                                 \
  std::size_t conv2d_int8_fwd_##dtypes##_avx512vnni_packed_bytes(const IntConvProblem& p) {                         \
    return layout_of(p).bytes;                                                                                      \
  }                                                                                                                 \
  void conv2d_int8_fwd_##dtypes##_avx512vnni_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    pack_columns(layout_of(p), sizeof(Weight), w, p.z_x + (is_signed ? 128 : 0), packed);                           \
  }
OCTET_VNNI_ROW(u8s8, false)
OCTET_VNNI_ROW(s8s8, true)
#undef OCTET_VNNI_ROW

}  // namespace octet::kernels
