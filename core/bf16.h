// bfloat16: the upper half of an f32.
#pragma once
#include <cstdint>
#include <cstring>

namespace octet {

/// Has this processor a dot product of bf16 pairs (VDPBF16PS), and does OCTET_ISA leave AVX-512 VNNI and above to us?
bool can_dot_bf16();

namespace {

/// The nearest bf16 as f32, half to even; NaN stays NaN.
inline float round_to_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (x != x)
    bits |= 0x00400000u;
  else
    bits += 0x7fffu + (bits >> 16 & 1u);
  bits &= 0xffff0000u;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

}  // namespace
}  // namespace octet
