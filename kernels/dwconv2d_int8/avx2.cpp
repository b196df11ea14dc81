// vpmaddwd on pairs of taps of a filter column, widened to s16.
#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/vector_store.h"
#include "kernels/dwconv2d_int8/packed.h"

namespace octet::kernels {
namespace {

using Weight = std::int16_t;
constexpr int kTaps = 2, kVectors = 4, kChannels = kVectors * VecI::width;

struct LaneChannels {
  std::uint8_t of[kChannels];
};
constexpr LaneChannels lane_channels() {
  LaneChannels t{};
  for (int i = 0; i < kChannels; ++i) t.of[i] = static_cast<std::uint8_t>(i);
  return t;
}
constexpr LaneChannels kLaneChannel = lane_channels();

OCTET_SIMD __m256i load_bytes(const std::uint8_t* p, int n) {
  if (n == kChannels) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  alignas(32) std::uint8_t bytes[kChannels] = {};
  __builtin_memcpy(bytes, p, static_cast<std::size_t>(n));
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes));
}

template <bool Signed>
OCTET_SIMD void widen(__m128i bytes, std::uint8_t* out) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      Signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes));
}

template <bool Signed>
OCTET_SIMD void interleave(const std::uint8_t* const (&taps)[kTaps], int channels, std::uint8_t* out) {
  const __m256i a = load_bytes(taps[0], channels), b = load_bytes(taps[1], channels);
  const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);  // within 128-bit lanes
  widen<Signed>(_mm256_castsi256_si128(low), out);
  widen<Signed>(_mm256_castsi256_si128(high), out + 32);
  widen<Signed>(_mm256_extracti128_si256(low, 1), out + 64);
  widen<Signed>(_mm256_extracti128_si256(high, 1), out + 96);
}

template <bool>
OCTET_SIMD void fill(std::int32_t z_x, std::uint8_t* out) {
  const __m256i x = _mm256_set1_epi16(static_cast<std::int16_t>(z_x));
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * v), x);
}

OCTET_SIMD VecI dot(VecI acc, VecI x, VecI w) { return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(x.v, w.v))}; }

OCTET_SIMD void store_codes(const VecI (&codes)[kVectors], std::uint8_t* dst, int channels) {
  const __m256i low_byte = _mm256_set1_epi16(0xff);  // packus saturates: keep u8 and the bits of s8
  const __m256i a = _mm256_and_si256(_mm256_packs_epi32(codes[0].v, codes[1].v), low_byte);
  const __m256i b = _mm256_and_si256(_mm256_packs_epi32(codes[2].v, codes[3].v), low_byte);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order);
  if (channels == kChannels) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), bytes);
  alignas(32) std::uint8_t stored[kChannels];
  _mm256_store_si256(reinterpret_cast<__m256i*>(stored), bytes);
  __builtin_memcpy(dst, stored, static_cast<std::size_t>(channels));
}

OCTET_SIMD void store_floats(const VecF (&values)[kVectors], float* dst, int channels) {
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int rest = channels - v * VecF::width;
    if (rest >= VecF::width)
      values[v].store(dst + v * VecF::width);
    else if (rest > 0)
      values[v].store(dst + v * VecF::width, rest);
  }
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/dwconv2d_int8/vector.inl"

namespace octet::kernels {

#define OCTET_AVX2_ROW(dtypes, is_signed)                                                                       \
  const char* dwconv2d_int8_fwd_##dtypes##_avx2_why_not(const IntConvProblem&) { return nullptr; }              \
  void dwconv2d_int8_fwd_##dtypes##_avx2(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    run<is_signed>(p, x);                                                                                       \
  }                                                                                                             \
  std::size_t dwconv2d_int8_fwd_##dtypes##_avx2_packed_bytes(const IntConvProblem& p) {                         \
    const DwLayout layout = layout_of(p);                                                                       \
    return static_cast<std::size_t>(layout.blocks) * layout.block_bytes;                                        \
  }                                                                                                             \
  void dwconv2d_int8_fwd_##dtypes##_avx2_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    pack_depthwise(p, layout_of(p), kLaneChannel.of, w, p.z_x, packed);                                         \
  }
OCTET_AVX2_ROW(u8s8, false)
OCTET_AVX2_ROW(s8s8, true)
#undef OCTET_AVX2_ROW

}  // namespace octet::kernels
