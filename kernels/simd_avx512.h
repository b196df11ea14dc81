// The vector types of AVX-512 (F+BW+DQ+VL) rows: same names and meaning as simd_avx2.h, so that a room's algorithm is
// written once. Internal linkage throughout. Lanes beyond n of a partial load are zero; a partial access touches
// nothing beyond n elements. 0 <= n <= width.
#pragma once
// GCC 12 takes the deliberately undefined operands inside its own intrinsics for uninitialized variables.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>

#define OCTET_SIMD [[gnu::always_inline]] inline
#if defined(__clang__)
#define OCTET_UNROLL _Pragma("clang loop unroll(full)")
#else
#define OCTET_UNROLL _Pragma("GCC unroll 32")
#endif

namespace octet::kernels {
namespace {

/// One truth value per f32 or s32 lane.
struct MaskF {
  __mmask16 m;
};
/// One truth value per f64 lane.
struct MaskD {
  __mmask8 m;
};

OCTET_SIMD __mmask16 first_lanes16(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
OCTET_SIMD __mmask8 first_lanes8(int n) { return static_cast<__mmask8>((1u << n) - 1u); }

/// f32 lanes.
struct VecF {
  static constexpr int width = 16;
  __m512 v;
  OCTET_SIMD static VecF zero() { return {_mm512_setzero_ps()}; }
  OCTET_SIMD static VecF set1(float x) { return {_mm512_set1_ps(x)}; }
  OCTET_SIMD static VecF load(const float* p) { return {_mm512_loadu_ps(p)}; }
  OCTET_SIMD static VecF load(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes16(n), p)}; }
  OCTET_SIMD void store(float* p) const { _mm512_storeu_ps(p, v); }
  OCTET_SIMD void store(float* p, int n) const { _mm512_mask_storeu_ps(p, first_lanes16(n), v); }
};
OCTET_SIMD VecF operator+(VecF a, VecF b) { return {_mm512_add_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator-(VecF a, VecF b) { return {_mm512_sub_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator*(VecF a, VecF b) { return {_mm512_mul_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator/(VecF a, VecF b) { return {_mm512_div_ps(a.v, b.v)}; }
/// a·b + c, rounded once.
OCTET_SIMD VecF fma(VecF a, VecF b, VecF c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// a < b ? a : b, so b when either is NaN.
OCTET_SIMD VecF min(VecF a, VecF b) { return {_mm512_min_ps(a.v, b.v)}; }
/// a > b ? a : b, so b when either is NaN.
OCTET_SIMD VecF max(VecF a, VecF b) { return {_mm512_max_ps(a.v, b.v)}; }
OCTET_SIMD VecF abs(VecF a) { return {_mm512_abs_ps(a.v)}; }
/// Half to even.
OCTET_SIMD VecF round_even(VecF a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/// Towards zero.
OCTET_SIMD VecF truncate(VecF a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
OCTET_SIMD VecF sqrt(VecF a) { return {_mm512_sqrt_ps(a.v)}; }

// Comparisons are false when either side is NaN, save not_equal.
OCTET_SIMD MaskF operator<(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
OCTET_SIMD MaskF operator<=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
OCTET_SIMD MaskF operator>(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
OCTET_SIMD MaskF operator>=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
OCTET_SIMD MaskF equal(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
OCTET_SIMD MaskF not_equal(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
OCTET_SIMD MaskF is_nan(VecF a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
OCTET_SIMD MaskF operator&(MaskF a, MaskF b) { return {static_cast<__mmask16>(a.m & b.m)}; }
OCTET_SIMD MaskF operator|(MaskF a, MaskF b) { return {static_cast<__mmask16>(a.m | b.m)}; }
OCTET_SIMD MaskF operator~(MaskF a) { return {static_cast<__mmask16>(~a.m)}; }
OCTET_SIMD bool any(MaskF a) { return a.m != 0; }
/// a where the mask is set, else b.
OCTET_SIMD VecF select(MaskF mask, VecF a, VecF b) { return {_mm512_mask_blend_ps(mask.m, b.v, a.v)}; }

/// s32 lanes, as many as VecF.
struct VecI {
  static constexpr int width = 16;
  __m512i v;
  OCTET_SIMD static VecI zero() { return {_mm512_setzero_si512()}; }
  OCTET_SIMD static VecI set1(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
  OCTET_SIMD static VecI load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
  OCTET_SIMD static VecI load(const std::int32_t* p, int n) { return {_mm512_maskz_loadu_epi32(first_lanes16(n), p)}; }
  OCTET_SIMD void store(std::int32_t* p) const { _mm512_storeu_si512(p, v); }
  OCTET_SIMD void store(std::int32_t* p, int n) const { _mm512_mask_storeu_epi32(p, first_lanes16(n), v); }
  // Bytes, widened and narrowed; stores keep the low eight bits.
  OCTET_SIMD static VecI load_u8(const std::uint8_t* p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  OCTET_SIMD static VecI load_u8(const std::uint8_t* p, int n) {
    return {_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_lanes16(n), p))};
  }
  OCTET_SIMD static VecI load_s8(const std::int8_t* p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  OCTET_SIMD static VecI load_s8(const std::int8_t* p, int n) {
    return {_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first_lanes16(n), p))};
  }
  OCTET_SIMD void store_bytes(void* p) const { _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v)); }
  OCTET_SIMD void store_bytes(void* p, int n) const {
    _mm_mask_storeu_epi8(p, first_lanes16(n), _mm512_cvtepi32_epi8(v));
  }
};
OCTET_SIMD VecI operator+(VecI a, VecI b) { return {_mm512_add_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator-(VecI a, VecI b) { return {_mm512_sub_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator*(VecI a, VecI b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator&(VecI a, VecI b) { return {_mm512_and_si512(a.v, b.v)}; }
OCTET_SIMD VecI operator|(VecI a, VecI b) { return {_mm512_or_si512(a.v, b.v)}; }
OCTET_SIMD VecI operator^(VecI a, VecI b) { return {_mm512_xor_si512(a.v, b.v)}; }
OCTET_SIMD VecI min(VecI a, VecI b) { return {_mm512_min_epi32(a.v, b.v)}; }
OCTET_SIMD VecI max(VecI a, VecI b) { return {_mm512_max_epi32(a.v, b.v)}; }
OCTET_SIMD MaskF operator>(VecI a, VecI b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
OCTET_SIMD MaskF equal(VecI a, VecI b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
OCTET_SIMD VecI select(MaskF mask, VecI a, VecI b) { return {_mm512_mask_blend_epi32(mask.m, b.v, a.v)}; }
/// The low eight bits of two vectors' lanes, one after the other.
OCTET_SIMD void store_bytes(const VecI (&a)[2], void* p) {
  a[0].store_bytes(p);
  a[1].store_bytes(static_cast<std::uint8_t*>(p) + VecI::width);
}
/// Half to even; 0x80000000 for NaN and what does not fit.
OCTET_SIMD VecI to_int_even(VecF a) {
  return {_mm512_cvt_roundps_epi32(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/// Towards zero; 0x80000000 for NaN and what does not fit.
OCTET_SIMD VecI to_int_truncate(VecF a) { return {_mm512_cvttps_epi32(a.v)}; }
/// Rounded half to even.
OCTET_SIMD VecF to_float(VecI a) { return {_mm512_cvtepi32_ps(a.v)}; }
OCTET_SIMD VecI bits_of(VecF a) { return {_mm512_castps_si512(a.v)}; }
OCTET_SIMD VecF float_of(VecI a) { return {_mm512_castsi512_ps(a.v)}; }

/// f64 lanes, half as many as VecF.
struct VecD {
  static constexpr int width = 8;
  __m512d v;
  OCTET_SIMD static VecD zero() { return {_mm512_setzero_pd()}; }
  OCTET_SIMD static VecD set1(double x) { return {_mm512_set1_pd(x)}; }
  OCTET_SIMD static VecD load(const double* p) { return {_mm512_loadu_pd(p)}; }
  OCTET_SIMD static VecD load(const double* p, int n) { return {_mm512_maskz_loadu_pd(first_lanes8(n), p)}; }
  /// width f32 values, widened.
  OCTET_SIMD static VecD load_f32(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
  OCTET_SIMD static VecD load_f32(const float* p, int n) {
    return {_mm512_cvtps_pd(_mm256_maskz_loadu_ps(first_lanes8(n), p))};
  }
  OCTET_SIMD void store(double* p) const { _mm512_storeu_pd(p, v); }
  OCTET_SIMD void store(double* p, int n) const { _mm512_mask_storeu_pd(p, first_lanes8(n), v); }
  /// Rounded to f32.
  OCTET_SIMD void store_f32(float* p) const { _mm256_storeu_ps(p, _mm512_cvtpd_ps(v)); }
  OCTET_SIMD void store_f32(float* p, int n) const { _mm256_mask_storeu_ps(p, first_lanes8(n), _mm512_cvtpd_ps(v)); }
};
OCTET_SIMD VecD operator+(VecD a, VecD b) { return {_mm512_add_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator-(VecD a, VecD b) { return {_mm512_sub_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator*(VecD a, VecD b) { return {_mm512_mul_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator/(VecD a, VecD b) { return {_mm512_div_pd(a.v, b.v)}; }
OCTET_SIMD VecD fma(VecD a, VecD b, VecD c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
OCTET_SIMD VecD min(VecD a, VecD b) { return {_mm512_min_pd(a.v, b.v)}; }
OCTET_SIMD VecD max(VecD a, VecD b) { return {_mm512_max_pd(a.v, b.v)}; }
OCTET_SIMD VecD sqrt(VecD a) { return {_mm512_sqrt_pd(a.v)}; }
OCTET_SIMD MaskD operator<(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
OCTET_SIMD MaskD operator<=(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
OCTET_SIMD MaskD operator>(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)}; }
OCTET_SIMD MaskD operator>=(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GE_OQ)}; }
OCTET_SIMD MaskD operator&(MaskD a, MaskD b) { return {static_cast<__mmask8>(a.m & b.m)}; }
OCTET_SIMD VecD select(MaskD mask, VecD a, VecD b) { return {_mm512_mask_blend_pd(mask.m, b.v, a.v)}; }
/// The lower and the upper half of a's lanes.
OCTET_SIMD VecD widen_low(VecF a) { return {_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))}; }
OCTET_SIMD VecD widen_high(VecF a) { return {_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))}; }
/// Both halves rounded to f32 and put together again.
OCTET_SIMD VecF narrow(VecD low, VecD high) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.v)), _mm512_cvtpd_ps(high.v), 1)};
}

/// rows[i] lane j becomes rows[j] lane i.
OCTET_SIMD void transpose(VecF (&rows)[16]) {
  __m512 t[16], u[16];
  OCTET_UNROLL
  for (int i = 0; i < 16; i += 4) {
    const __m512 a = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v), b = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
    const __m512 c = _mm512_unpacklo_ps(rows[i + 2].v, rows[i + 3].v),
                 d = _mm512_unpackhi_ps(rows[i + 2].v, rows[i + 3].v);
    t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)));
    t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)));
    t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)));
    t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)));
  }
  // t[4g + j], 128-bit lane l: column 4l + j of rows 4g .. 4g + 3.
  OCTET_UNROLL
  for (int j = 0; j < 4; ++j) {
    u[j] = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88);
    u[4 + j] = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
    u[8 + j] = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
    u[12 + j] = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);
  }
  OCTET_UNROLL
  for (int j = 0; j < 4; ++j) {
    rows[j].v = _mm512_shuffle_f32x4(u[j], u[8 + j], 0x88);
    rows[8 + j].v = _mm512_shuffle_f32x4(u[j], u[8 + j], 0xdd);
    rows[4 + j].v = _mm512_shuffle_f32x4(u[4 + j], u[12 + j], 0x88);
    rows[12 + j].v = _mm512_shuffle_f32x4(u[4 + j], u[12 + j], 0xdd);
  }
}

}  // namespace
}  // namespace octet::kernels
