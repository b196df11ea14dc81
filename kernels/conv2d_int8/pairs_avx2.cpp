// vpmaddubsw adds two u8·s8 products in s16, which saturates where the weights of a pair are large together: groups of
// the depth in which no column's pair can pass 255·128 take it, the others are widened to s16 on their way. For layers
// of which few groups need that, as with weights of 7 bits and fewer.
#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/gemm_work.h"
#include "kernels/conv2d_int8/sorted_groups.h"
#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Operand = std::uint8_t;
using Weight = std::int8_t;
constexpr int kGroup = 4, kRows = 6, kVectors = 2;

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/u8_operand.inl"
#include "kernels/conv2d_int8/vector.inl"

namespace octet::kernels {
namespace {

/// a·b by pairs without saturation, then pairs of pairs.
OCTET_SIMD VecI dot_safe(VecI acc, VecI a, const Weight* b) {
  const __m256i pairs = _mm256_maddubs_epi16(a.v, _mm256_load_si256(reinterpret_cast<const __m256i*>(b)));
  return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

/// The same for weights of any size: even and odd products widened to s16.
template <int M>
OCTET_SIMD void multiply_exact(VecI (&acc)[M][kVectors], const VecI (&x)[M], const Weight* b) {
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const __m256i w = _mm256_load_si256(reinterpret_cast<const __m256i*>(b + v * VecI::width * kGroup));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), odd = _mm256_srai_epi16(w, 8);
    OCTET_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i x_even = _mm256_and_si256(x[m].v, _mm256_set1_epi16(0xff)), x_odd = _mm256_srli_epi16(x[m].v, 8);
      acc[m][v].v = _mm256_add_epi32(acc[m][v].v,
                                     _mm256_add_epi32(_mm256_madd_epi16(x_even, even), _mm256_madd_epi16(x_odd, odd)));
    }
  }
}

template <bool Signed, int M>
OCTET_SIMD void multiply_depth(VecI (&acc)[M][kVectors], const TileContext& t, const Operand* rows) {
  const std::int32_t* order = t.order;
  const std::int32_t* const safe_end = order + 1 + order[0];
  const std::int32_t* const end = t.order + 1 + t.segments * t.groups;
  const Weight* b = t.panel;
  for (++order; order < safe_end; ++order, b += kPanel * kGroup) {
    const Operand* a = rows + *order;
    OCTET_UNROLL
    for (int m = 0; m < M; ++m) {
      const VecI x = broadcast<Signed>(a + m * t.row_stride);
      OCTET_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[m][v] = dot_safe(acc[m][v], x, b + v * VecI::width * kGroup);
    }
  }
  for (; order < end; ++order, b += kPanel * kGroup) {
    VecI x[M];
    OCTET_UNROLL
    for (int m = 0; m < M; ++m) x[m] = broadcast<Signed>(rows + *order + m * t.row_stride);
    multiply_exact(acc, x, b);
  }
  if (t.rest == 0) return;
  VecI x[M];
  OCTET_UNROLL
  for (int m = 0; m < M; ++m) x[m] = broadcast_part<Signed>(rows + *order + m * t.row_stride, t.rest);
  multiply_exact(acc, x, b);
}

const std::int32_t* panel_order(const PackedLayout& layout, const void* packed, std::int64_t panel) {
  return group_order(layout, packed, panel);
}

}  // namespace

#define OCTET_PAIRS_ROW(dtypes, is_signed)                                                                         \
  const char* conv2d_int8_fwd_##dtypes##_avx2pairs_why_not(const IntConvProblem& p) {                              \
    if (!p.narrow) return "many weights are too large for pairs of products in s16";                               \
    return places_fit(p.geometry) ? nullptr : "places under a window exceed 32 bits";                              \
  }                                                                                                                \
  void conv2d_int8_fwd_##dtypes##_avx2pairs(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    run<is_signed>(p, x);                                                                                          \
  }                                                                                                                \
  std::size_t conv2d_int8_fwd_##dtypes##_avx2pairs_packed_bytes(const IntConvProblem& p) {                         \
    return sorted_bytes(layout_of(p));                                                                             \
  }                                                                                                                \
  void conv2d_int8_fwd_##dtypes##_avx2pairs_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    pack_columns(layout_of(p), sizeof(Weight), w, p.z_x + (is_signed ? 128 : 0), packed);                          \
    sort_groups(layout_of(p), line_elements(p.geometry, kGroup), packed);                                          \
  }
OCTET_PAIRS_ROW(u8s8, false)
OCTET_PAIRS_ROW(s8s8, true)
#undef OCTET_PAIRS_ROW

}  // namespace octet::kernels
