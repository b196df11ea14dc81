// VEX-encoded vpdpbusd on four taps. s8 codes are shifted by 128 to u8 when interleaved, which the packed bias takes
// back.
#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Weight = std::int8_t;
constexpr int kTaps = 4, kVectors = 4, kChannels = kVectors * VecI::width;

/// Interleaving works within 128-bit lanes: vector v, lane group l holds channels 16·l + 4·v and the three after it.
struct LaneChannels {
  std::uint8_t of[kChannels];
};
constexpr LaneChannels lane_channels() {
  LaneChannels t{};
  for (int i = 0; i < kChannels; ++i) t.of[i] = static_cast<std::uint8_t>(i % 8 / 4 * 16 + i / 8 * 4 + i % 4);
  return t;
}
constexpr LaneChannels kLaneChannel = lane_channels();

using Bytes = __m256i;
OCTET_SIMD Bytes load_codes(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
OCTET_SIMD Bytes load_codes(const std::uint8_t* p, int n) {
  if (n == kChannels) return load_codes(p);
  alignas(32) std::uint8_t bytes[kChannels] = {};
  __builtin_memcpy(bytes, p, static_cast<std::size_t>(n));
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes));
}

template <bool Signed>
OCTET_SIMD void interleave(const Bytes (&taps)[kTaps], VecI (&groups)[kVectors]) {
  Bytes x[kTaps];
  OCTET_UNROLL
  for (int t = 0; t < kTaps; ++t)
    x[t] = Signed ? _mm256_xor_si256(taps[t], _mm256_set1_epi8(static_cast<char>(0x80))) : taps[t];
  const __m256i low01 = _mm256_unpacklo_epi8(x[0], x[1]), high01 = _mm256_unpackhi_epi8(x[0], x[1]);
  const __m256i low23 = _mm256_unpacklo_epi8(x[2], x[3]), high23 = _mm256_unpackhi_epi8(x[2], x[3]);
  groups[0].v = _mm256_unpacklo_epi16(low01, low23);
  groups[1].v = _mm256_unpackhi_epi16(low01, low23);
  groups[2].v = _mm256_unpacklo_epi16(high01, high23);
  groups[3].v = _mm256_unpackhi_epi16(high01, high23);
}

OCTET_SIMD VecI dot(VecI acc, VecI x, VecI w) { return {_mm256_dpbusd_avx_epi32(acc.v, x.v, w.v)}; }

template <bool Any>
OCTET_SIMD void store_codes(const VecI (&codes)[kVectors], std::uint8_t* dst, int channels) {
  __m256i a = _mm256_packs_epi32(codes[0].v, codes[1].v);
  __m256i b = _mm256_packs_epi32(codes[2].v, codes[3].v);
  const __m256i low_byte = _mm256_set1_epi16(0xff);  // packus saturates: keep u8 and the bits of s8
  if (Any) a = _mm256_and_si256(a, low_byte), b = _mm256_and_si256(b, low_byte);
  const __m256i bytes = _mm256_packus_epi16(a, b);
  if (channels == kChannels) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), bytes);
  alignas(32) std::uint8_t stored[kChannels];
  _mm256_store_si256(reinterpret_cast<__m256i*>(stored), bytes);
  __builtin_memcpy(dst, stored, static_cast<std::size_t>(channels));
}

OCTET_SIMD void store_floats(const VecF (&values)[kVectors], float* dst, int channels) {
  alignas(32) float ordered[kChannels];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    _mm_store_ps(ordered + 4 * v, _mm256_castps256_ps128(values[v].v));
    _mm_store_ps(ordered + 16 + 4 * v, _mm256_extractf128_ps(values[v].v, 1));
  }
  for_vectors(0, channels, [&](std::int64_t i, auto part) { store(load(ordered + i, part), dst + i, part); });
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/dwconv2d_int8/vnni_rows.inl"

namespace octet::kernels {
OCTET_DW_VNNI_ROW(u8s8, avxvnni, false)
OCTET_DW_VNNI_ROW(s8s8, avxvnni, true)
}  // namespace octet::kernels
