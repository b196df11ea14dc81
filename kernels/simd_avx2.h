// The vector types of AVX2 (with FMA) rows: same names and meaning as simd_avx512.h, so that a room's algorithm is
// written once. Internal linkage throughout. Lanes beyond n of a partial load are zero; a partial access touches
// nothing beyond n elements. 0 <= n <= width.
#pragma once
#include <immintrin.h>

#include <cstdint>

#define OCTET_SIMD [[gnu::always_inline]] inline
#if defined(__clang__)
#define OCTET_UNROLL _Pragma("clang loop unroll(full)")
#else
#define OCTET_UNROLL _Pragma("GCC unroll 32")
#endif

namespace octet::kernels {
namespace {

/// One truth value per f32 or s32 lane: all bits of it.
struct MaskF {
  __m256 m;
};
/// One truth value per f64 lane: all bits of it.
struct MaskD {
  __m256d m;
};

alignas(32) constexpr std::int32_t kLanes32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) constexpr std::int64_t kLanes64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
OCTET_SIMD __m256i first_lanes8(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes32 + 8 - n));
}
OCTET_SIMD __m256i first_lanes4(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes64 + 4 - n));
}

/// f32 lanes.
struct VecF {
  static constexpr int width = 8;
  __m256 v;
  OCTET_SIMD static VecF zero() { return {_mm256_setzero_ps()}; }
  OCTET_SIMD static VecF set1(float x) { return {_mm256_set1_ps(x)}; }
  OCTET_SIMD static VecF load(const float* p) { return {_mm256_loadu_ps(p)}; }
  OCTET_SIMD static VecF load(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes8(n))}; }
  OCTET_SIMD void store(float* p) const { _mm256_storeu_ps(p, v); }
  OCTET_SIMD void store(float* p, int n) const { _mm256_maskstore_ps(p, first_lanes8(n), v); }
};
OCTET_SIMD VecF operator+(VecF a, VecF b) { return {_mm256_add_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator-(VecF a, VecF b) { return {_mm256_sub_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator*(VecF a, VecF b) { return {_mm256_mul_ps(a.v, b.v)}; }
OCTET_SIMD VecF operator/(VecF a, VecF b) { return {_mm256_div_ps(a.v, b.v)}; }
/// a·b + c, rounded once.
OCTET_SIMD VecF fma(VecF a, VecF b, VecF c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
/// a < b ? a : b, so b when either is NaN.
OCTET_SIMD VecF min(VecF a, VecF b) { return {_mm256_min_ps(a.v, b.v)}; }
/// a > b ? a : b, so b when either is NaN.
OCTET_SIMD VecF max(VecF a, VecF b) { return {_mm256_max_ps(a.v, b.v)}; }
OCTET_SIMD VecF abs(VecF a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
/// Half to even.
OCTET_SIMD VecF round_even(VecF a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/// Towards zero.
OCTET_SIMD VecF truncate(VecF a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
OCTET_SIMD VecF sqrt(VecF a) { return {_mm256_sqrt_ps(a.v)}; }

// Comparisons are false when either side is NaN, save not_equal.
OCTET_SIMD MaskF operator<(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
OCTET_SIMD MaskF operator<=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
OCTET_SIMD MaskF operator>(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
OCTET_SIMD MaskF operator>=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
OCTET_SIMD MaskF equal(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
OCTET_SIMD MaskF not_equal(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
OCTET_SIMD MaskF is_nan(VecF a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
OCTET_SIMD MaskF operator&(MaskF a, MaskF b) { return {_mm256_and_ps(a.m, b.m)}; }
OCTET_SIMD MaskF operator|(MaskF a, MaskF b) { return {_mm256_or_ps(a.m, b.m)}; }
OCTET_SIMD MaskF operator~(MaskF a) { return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
OCTET_SIMD bool any(MaskF a) { return _mm256_movemask_ps(a.m) != 0; }
/// a where the mask is set, else b.
OCTET_SIMD VecF select(MaskF mask, VecF a, VecF b) { return {_mm256_blendv_ps(b.v, a.v, mask.m)}; }

/// s32 lanes, as many as VecF.
struct VecI {
  static constexpr int width = 8;
  __m256i v;
  OCTET_SIMD static VecI zero() { return {_mm256_setzero_si256()}; }
  OCTET_SIMD static VecI set1(std::int32_t x) { return {_mm256_set1_epi32(x)}; }
  OCTET_SIMD static VecI load(const std::int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  OCTET_SIMD static VecI load(const std::int32_t* p, int n) { return {_mm256_maskload_epi32(p, first_lanes8(n))}; }
  OCTET_SIMD void store(std::int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  OCTET_SIMD void store(std::int32_t* p, int n) const { _mm256_maskstore_epi32(p, first_lanes8(n), v); }
  // Bytes, widened and narrowed; stores keep the low eight bits.
  OCTET_SIMD static VecI load_u8(const std::uint8_t* p) {
    return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
  }
  OCTET_SIMD static VecI load_u8(const std::uint8_t* p, int n) { return {_mm256_cvtepu8_epi32(load_bytes(p, n))}; }
  OCTET_SIMD static VecI load_s8(const std::int8_t* p) {
    return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
  }
  OCTET_SIMD static VecI load_s8(const std::int8_t* p, int n) { return {_mm256_cvtepi8_epi32(load_bytes(p, n))}; }
  OCTET_SIMD void store_bytes(void* p) const { _mm_storel_epi64(static_cast<__m128i*>(p), low_bytes()); }
  OCTET_SIMD void store_bytes(void* p, int n) const {
    alignas(16) std::uint8_t bytes[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), low_bytes());
    for (int i = 0; i < n; ++i) static_cast<std::uint8_t*>(p)[i] = bytes[i];
  }

 private:
  OCTET_SIMD static __m128i load_bytes(const void* p, int n) {
    alignas(8) std::uint8_t bytes[8] = {};
    for (int i = 0; i < n; ++i) bytes[i] = static_cast<const std::uint8_t*>(p)[i];
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
  }
  OCTET_SIMD __m128i low_bytes() const {
    const __m256i pick = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,  //
                                          0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i t = _mm256_shuffle_epi8(v, pick);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(t), _mm256_extracti128_si256(t, 1));
  }
};
OCTET_SIMD VecI operator+(VecI a, VecI b) { return {_mm256_add_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator-(VecI a, VecI b) { return {_mm256_sub_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator*(VecI a, VecI b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
OCTET_SIMD VecI operator&(VecI a, VecI b) { return {_mm256_and_si256(a.v, b.v)}; }
OCTET_SIMD VecI operator|(VecI a, VecI b) { return {_mm256_or_si256(a.v, b.v)}; }
OCTET_SIMD VecI operator^(VecI a, VecI b) { return {_mm256_xor_si256(a.v, b.v)}; }
OCTET_SIMD VecI min(VecI a, VecI b) { return {_mm256_min_epi32(a.v, b.v)}; }
OCTET_SIMD VecI max(VecI a, VecI b) { return {_mm256_max_epi32(a.v, b.v)}; }
OCTET_SIMD MaskF operator>(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))}; }
OCTET_SIMD MaskF equal(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
OCTET_SIMD VecI select(MaskF mask, VecI a, VecI b) {
  return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(mask.m))};
}
/// The low eight bits of two vectors' lanes, one after the other.
OCTET_SIMD void store_bytes(const VecI (&a)[2], void* p) {
  const __m256i words = _mm256_and_si256(_mm256_packs_epi32(a[0].v, a[1].v), _mm256_set1_epi16(0xff));
  const __m256i bytes = _mm256_packus_epi16(words, words);  // in dwords: a0 b0 . . a1 b1 . .
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order)));
}
/// Half to even (the processor's own mode); 0x80000000 for NaN and what does not fit.
OCTET_SIMD VecI to_int_even(VecF a) { return {_mm256_cvtps_epi32(a.v)}; }
/// Towards zero; 0x80000000 for NaN and what does not fit.
OCTET_SIMD VecI to_int_truncate(VecF a) { return {_mm256_cvttps_epi32(a.v)}; }
/// Rounded half to even.
OCTET_SIMD VecF to_float(VecI a) { return {_mm256_cvtepi32_ps(a.v)}; }
OCTET_SIMD VecI bits_of(VecF a) { return {_mm256_castps_si256(a.v)}; }
OCTET_SIMD VecF float_of(VecI a) { return {_mm256_castsi256_ps(a.v)}; }

/// f64 lanes, half as many as VecF.
struct VecD {
  static constexpr int width = 4;
  __m256d v;
  OCTET_SIMD static VecD zero() { return {_mm256_setzero_pd()}; }
  OCTET_SIMD static VecD set1(double x) { return {_mm256_set1_pd(x)}; }
  OCTET_SIMD static VecD load(const double* p) { return {_mm256_loadu_pd(p)}; }
  OCTET_SIMD static VecD load(const double* p, int n) { return {_mm256_maskload_pd(p, first_lanes4(n))}; }
  /// width f32 values, widened.
  OCTET_SIMD static VecD load_f32(const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
  OCTET_SIMD static VecD load_f32(const float* p, int n) {
    return {_mm256_cvtps_pd(_mm_maskload_ps(p, _mm256_castsi256_si128(first_lanes8(n))))};
  }
  OCTET_SIMD void store(double* p) const { _mm256_storeu_pd(p, v); }
  OCTET_SIMD void store(double* p, int n) const { _mm256_maskstore_pd(p, first_lanes4(n), v); }
  /// Rounded to f32.
  OCTET_SIMD void store_f32(float* p) const { _mm_storeu_ps(p, _mm256_cvtpd_ps(v)); }
  OCTET_SIMD void store_f32(float* p, int n) const {
    _mm_maskstore_ps(p, _mm256_castsi256_si128(first_lanes8(n)), _mm256_cvtpd_ps(v));
  }
};
OCTET_SIMD VecD operator+(VecD a, VecD b) { return {_mm256_add_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator-(VecD a, VecD b) { return {_mm256_sub_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator*(VecD a, VecD b) { return {_mm256_mul_pd(a.v, b.v)}; }
OCTET_SIMD VecD operator/(VecD a, VecD b) { return {_mm256_div_pd(a.v, b.v)}; }
OCTET_SIMD VecD fma(VecD a, VecD b, VecD c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
OCTET_SIMD VecD min(VecD a, VecD b) { return {_mm256_min_pd(a.v, b.v)}; }
OCTET_SIMD VecD max(VecD a, VecD b) { return {_mm256_max_pd(a.v, b.v)}; }
OCTET_SIMD VecD sqrt(VecD a) { return {_mm256_sqrt_pd(a.v)}; }
OCTET_SIMD MaskD operator<(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)}; }
OCTET_SIMD MaskD operator<=(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LE_OQ)}; }
OCTET_SIMD MaskD operator>(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ)}; }
OCTET_SIMD MaskD operator>=(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_GE_OQ)}; }
OCTET_SIMD MaskD operator&(MaskD a, MaskD b) { return {_mm256_and_pd(a.m, b.m)}; }
OCTET_SIMD VecD select(MaskD mask, VecD a, VecD b) { return {_mm256_blendv_pd(b.v, a.v, mask.m)}; }
/// The lower and the upper half of a's lanes.
OCTET_SIMD VecD widen_low(VecF a) { return {_mm256_cvtps_pd(_mm256_castps256_ps128(a.v))}; }
OCTET_SIMD VecD widen_high(VecF a) { return {_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))}; }
/// Both halves rounded to f32 and put together again.
OCTET_SIMD VecF narrow(VecD low, VecD high) {
  return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low.v)), _mm256_cvtpd_ps(high.v), 1)};
}

/// rows[i] lane j becomes rows[j] lane i.
OCTET_SIMD void transpose(VecF (&rows)[8]) {
  __m256 t[8];
  OCTET_UNROLL
  for (int i = 0; i < 8; i += 4) {
    const __m256 a = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v), b = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
    const __m256 c = _mm256_unpacklo_ps(rows[i + 2].v, rows[i + 3].v),
                 d = _mm256_unpackhi_ps(rows[i + 2].v, rows[i + 3].v);
    t[i] = _mm256_shuffle_ps(a, c, 0x44);
    t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
    t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
  }
  // t[4g + j], 128-bit lane l: column 4l + j of rows 4g .. 4g + 3.
  OCTET_UNROLL
  for (int j = 0; j < 4; ++j) {
    rows[j].v = _mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
    rows[4 + j].v = _mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
  }
}

}  // namespace
}  // namespace octet::kernels
