// vpdpbusd: four u8·s8 products into a lane, without saturation. s8 codes are shifted by 128 to u8 on their way into
// the register, which the packed bias takes back.
#include "kernels/simd_avx512.h"

#include "kernels/conv2d_int8/gemm_work.h"
#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Operand = std::uint8_t;
using Weight = std::int8_t;
constexpr int kGroup = 4, kRows = 14, kVectors = 2;

template <bool Signed>
OCTET_SIMD VecI broadcast(const Operand* p) {
  std::int32_t group;
  __builtin_memcpy(&group, p, 4);
  const VecI x = VecI::set1(group);
  return Signed ? x ^ VecI::set1(static_cast<std::int32_t>(0x80808080u)) : x;
}
/// Elements beyond n meet zero weights, whatever they are.
template <bool Signed>
OCTET_SIMD VecI broadcast_part(const Operand* p, int n) {
  Operand group[kGroup] = {};
  for (int i = 0; i < n; ++i) group[i] = p[i];
  return broadcast<Signed>(group);
}
OCTET_SIMD VecI dot(VecI acc, VecI a, VecI b) { return {_mm512_dpbusd_epi32(acc.v, a.v, b.v)}; }

/// Scratch memory of a task.
std::size_t operand_bytes(const GemmWork& work) {
  return work.direct ? 0 : static_cast<std::size_t>(work.block_rows * work.layout.depth_padded + kGatherSlack);
}
/// The rows of a block: pixels of src as they lie, or gathered.
template <bool Signed>
void prepare_rows(const IntConvProblem& problem, const GemmWork& work, const void* src, std::int64_t first,
                  std::int64_t count, void* scratch, const Operand*& rows, std::int64_t& stride) {
  if (work.direct) {
    rows = static_cast<const Operand*>(src) + first * work.layout.depth;
    stride = work.layout.depth;
    return;
  }
  gather_rows(problem, src, first, count, work.layout.depth_padded, static_cast<std::uint8_t*>(scratch));
  rows = static_cast<const Operand*>(scratch);
  stride = work.layout.depth_padded;
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/vector.inl"

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
