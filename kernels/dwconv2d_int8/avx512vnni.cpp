// vpdpbusd on four taps. s8 codes are shifted by 128 to u8 when interleaved, which the packed
// bias takes back.
#include "kernels/simd_avx512.h"

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
  for (int i = 0; i < kChannels; ++i) t.of[i] = static_cast<std::uint8_t>(i % 16 / 4 * 16 + i / 16 * 4 + i % 4);
  return t;
}
constexpr LaneChannels kLaneChannel = lane_channels();

OCTET_SIMD __mmask64 first_bytes(int n) { return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1; }

using Bytes = __m512i;
OCTET_SIMD Bytes load_codes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
OCTET_SIMD Bytes load_codes(const std::uint8_t* p, int n) { return _mm512_maskz_loadu_epi8(first_bytes(n), p); }

template <bool Signed>
OCTET_SIMD void interleave(const Bytes (&taps)[kTaps], VecI (&groups)[kVectors]) {
  Bytes x[kTaps];
  OCTET_UNROLL
  for (int t = 0; t < kTaps; ++t)
    x[t] = Signed ? _mm512_xor_si512(taps[t], _mm512_set1_epi8(static_cast<char>(0x80))) : taps[t];
  const __m512i low01 = _mm512_unpacklo_epi8(x[0], x[1]), high01 = _mm512_unpackhi_epi8(x[0], x[1]);
  const __m512i low23 = _mm512_unpacklo_epi8(x[2], x[3]), high23 = _mm512_unpackhi_epi8(x[2], x[3]);
  groups[0].v = _mm512_unpacklo_epi16(low01, low23);
  groups[1].v = _mm512_unpackhi_epi16(low01, low23);
  groups[2].v = _mm512_unpacklo_epi16(high01, high23);
  groups[3].v = _mm512_unpackhi_epi16(high01, high23);
}

OCTET_SIMD VecI dot(VecI acc, VecI x, VecI w) { return {_mm512_dpbusd_epi32(acc.v, x.v, w.v)}; }

template <bool Any>
OCTET_SIMD void store_codes(const VecI (&codes)[kVectors], std::uint8_t* dst, int channels) {
  __m512i a = _mm512_packs_epi32(codes[0].v, codes[1].v);
  __m512i b = _mm512_packs_epi32(codes[2].v, codes[3].v);
  const __m512i low_byte = _mm512_set1_epi16(0xff);  // packus saturates: keep u8 and the bits of s8
  if (Any) a = _mm512_and_si512(a, low_byte), b = _mm512_and_si512(b, low_byte);
  const __m512i bytes = _mm512_packus_epi16(a, b);
  if (channels == kChannels)
    _mm512_storeu_si512(dst, bytes);
  else
    _mm512_mask_storeu_epi8(dst, first_bytes(channels), bytes);
}

OCTET_SIMD void store_floats(const VecF (&values)[kVectors], float* dst, int channels) {
  alignas(64) float ordered[kChannels];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    _mm_store_ps(ordered + 4 * v, _mm512_extractf32x4_ps(values[v].v, 0));
    _mm_store_ps(ordered + 16 + 4 * v, _mm512_extractf32x4_ps(values[v].v, 1));
    _mm_store_ps(ordered + 32 + 4 * v, _mm512_extractf32x4_ps(values[v].v, 2));
    _mm_store_ps(ordered + 48 + 4 * v, _mm512_extractf32x4_ps(values[v].v, 3));
  }
  for_vectors(0, channels, [&](std::int64_t i, auto part) { store(load(ordered + i, part), dst + i, part); });
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/dwconv2d_int8/vnni_rows.inl"

namespace octet::kernels {
OCTET_DW_VNNI_ROW(u8s8, avx512vnni, false)
OCTET_DW_VNNI_ROW(s8s8, avx512vnni, true)
}  // namespace octet::kernels
