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

#include "kernels/conv2d_int8/vnni_rows.inl"

namespace octet::kernels {
OCTET_CONV_VNNI_ROW(u8s8, avx512vnni, false)
OCTET_CONV_VNNI_ROW(s8s8, avx512vnni, true)
}  // namespace octet::kernels
