// vpmaddwd on pairs of taps, widened to s16: exact for all codes and weights.
#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Weight = std::int16_t;
constexpr int kTaps = 2, kVectors = 2, kChannels = kVectors * VecI::width;

/// Interleaving works within 128-bit lanes: vector v holds channels 4·v and the three after it, and those 8 further on.
struct LaneChannels {
  std::uint8_t of[kChannels];
};
constexpr LaneChannels kLaneChannel = {{0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15}};

using Bytes = __m128i;
OCTET_SIMD Bytes load_codes(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
OCTET_SIMD Bytes load_codes(const std::uint8_t* p, int n) {
  if (n == kChannels) return load_codes(p);
  alignas(16) std::uint8_t bytes[kChannels] = {};
  __builtin_memcpy(bytes, p, static_cast<std::size_t>(n));
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}

template <bool Signed>
OCTET_SIMD __m256i widen(Bytes bytes) {
  return Signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}
template <bool Signed>
OCTET_SIMD void interleave(const Bytes (&taps)[kTaps], VecI (&groups)[kVectors]) {
  const __m256i a = widen<Signed>(taps[0]), b = widen<Signed>(taps[1]);
  groups[0].v = _mm256_unpacklo_epi16(a, b);
  groups[1].v = _mm256_unpackhi_epi16(a, b);
}

OCTET_SIMD VecI dot(VecI acc, VecI x, VecI w) { return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(x.v, w.v))}; }

template <bool Any>
OCTET_SIMD void store_codes(const VecI (&codes)[kVectors], std::uint8_t* dst, int channels) {
  const __m256i words = _mm256_packs_epi32(codes[0].v, codes[1].v);
  // packus saturates: keep u8 and the bits of s8.
  const __m256i low = Any ? _mm256_and_si256(words, _mm256_set1_epi16(0xff)) : words;
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  if (channels == kChannels) return _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), bytes);
  alignas(16) std::uint8_t stored[kChannels];
  _mm_store_si128(reinterpret_cast<__m128i*>(stored), bytes);
  __builtin_memcpy(dst, stored, static_cast<std::size_t>(channels));
}

OCTET_SIMD void store_floats(const VecF (&values)[kVectors], float* dst, int channels) {
  const VecF ordered[kVectors] = {{_mm256_permute2f128_ps(values[0].v, values[1].v, 0x20)},
                                  {_mm256_permute2f128_ps(values[0].v, values[1].v, 0x31)}};
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int rest = channels - v * VecF::width;
    if (rest >= VecF::width)
      ordered[v].store(dst + v * VecF::width);
    else if (rest > 0)
      ordered[v].store(dst + v * VecF::width, rest);
  }
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/dwconv2d_int8/windows.inl"

namespace octet::kernels {

#define OCTET_AVX2_ROW(dtypes, is_signed)                                                                       \
  const char* dwconv2d_int8_fwd_##dtypes##_avx2_why_not(const IntConvProblem& p) {                              \
    return dw_windows_why_not(p.geometry);                                                                      \
  }                                                                                                             \
  void dwconv2d_int8_fwd_##dtypes##_avx2(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    run_windows<is_signed>(p, x);                                                                               \
  }                                                                                                             \
  std::size_t dwconv2d_int8_fwd_##dtypes##_avx2_packed_bytes(const IntConvProblem& p) {                         \
    return dw_windows_bytes(p.geometry, kLanes);                                                                \
  }                                                                                                             \
  void dwconv2d_int8_fwd_##dtypes##_avx2_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    pack_dw_windows(p, kLanes, w, p.z_x, packed);                                                               \
  }
OCTET_AVX2_ROW(u8s8, false)
OCTET_AVX2_ROW(s8s8, true)
#undef OCTET_AVX2_ROW

}  // namespace octet::kernels
