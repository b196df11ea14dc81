// The one place that quantizes, dequantizes and requantizes (docs/quantization.md, "The contract").
// Reference kernels, simulator, engine, exporters and CUDA share it; vector rows reproduce it bit for bit.
// Internal linkage throughout: files compiled with ISA flags keep copies of their own.
#pragma once
#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace octet {

/// onnx: q = int(rint(clamp(x / s, lo - z, hi - z))) + z, half to even, s is the step (ONNX QuantizeLinear).
/// paddle: s is a threshold, q = round_half_away(hi * (1/s) * clamp(x, -s, s)), x' = q * s / hi, z = 0
///         (PaddlePaddle fake_quantize, round_type 1).
enum class QuantRule : std::uint8_t { onnx, paddle };

namespace qmath {
namespace {

inline OCTET_HD float clampf(float x, float lo, float hi) { return x < lo ? lo : (x > hi ? hi : x); }

/// Round half away from zero; exact for |x| < 2^31.
inline OCTET_HD float round_away(float x) {
  float t = truncf(x);
  return fabsf(x - t) >= 0.5f ? t + (x < 0 ? -1.0f : 1.0f) : t;
}

/// onnx rule: true division, half to even; NaN gives z.
inline OCTET_HD std::int32_t quantize(float x, float s, std::int32_t z, std::int32_t lo, std::int32_t hi) {
  float t = x / s;
  if (!(t == t)) return z;
  return static_cast<std::int32_t>(rintf(clampf(t, static_cast<float>(lo - z), static_cast<float>(hi - z)))) + z;
}
inline OCTET_HD float dequantize(std::int32_t q, float s, std::int32_t z) { return static_cast<float>(q - z) * s; }

/// paddle rule; `s` is the threshold, hi the largest code (2^(bits-1) - 1). NaN gives 0. s <= 1e-30 uses 1/(s + 1e-6).
inline OCTET_HD float paddle_inverse(float s) { return s <= 1e-30f ? 1.0f / (s + 1e-6f) : 1.0f / s; }
inline OCTET_HD std::int32_t quantize_paddle(float x, float s, std::int32_t hi) {
  float t = static_cast<float>(hi) * paddle_inverse(s) * clampf(x, -s, s);
  if (!(t == t)) return 0;  // a NaN, or an infinite threshold
  return static_cast<std::int32_t>(round_away(t));
}
inline OCTET_HD float dequantize_paddle(std::int32_t q, float s, std::int32_t hi) {
  return static_cast<float>(q) * s / static_cast<float>(hi);
}

/// q_y from an int32 accumulator: rint(clamp(float(a) * m, lo - z, hi - z)) + z. A NaN product cannot arise: m is finite.
inline OCTET_HD std::int32_t requantize(std::int32_t a, float m, std::int32_t z, std::int32_t lo, std::int32_t hi) {
  float t = static_cast<float>(a) * m;
  return static_cast<std::int32_t>(rintf(clampf(t, static_cast<float>(lo - z), static_cast<float>(hi - z)))) + z;
}
/// scheme paddle: round_half_away(float(a) * m + b), multiply and add unfused, clamped to [lo, hi]; b = bias / s_y.
inline OCTET_HD std::int32_t requantize_paddle(std::int32_t a, float m, float b, std::int32_t lo, std::int32_t hi) {
#if defined(__CUDA_ARCH__)
  float t = __fadd_rn(__fmul_rn(static_cast<float>(a), m), b);
#else
  float p = static_cast<float>(a) * m;
  float t = p + b;
#endif
  return static_cast<std::int32_t>(round_away(clampf(t, static_cast<float>(lo), static_cast<float>(hi))));
}
/// Average pooling of n codes: fl(s_x / fl(s_y * n)), times the sum of the codes less n zero points.
inline OCTET_HD float average_multiplier(float s_x, float s_y, std::int32_t n) {
  return s_x / (s_y * static_cast<float>(n));
}
/// Two products, one sum: rint(qa' * ma + qb' * mb), zero points already subtracted; ma = fl(s_a / s_y).
inline OCTET_HD std::int32_t add_codes(std::int32_t qa, std::int32_t qb, float ma, float mb, std::int32_t z,
                                       std::int32_t lo, std::int32_t hi) {
#if defined(__CUDA_ARCH__)
  float t = __fadd_rn(__fmul_rn(static_cast<float>(qa), ma), __fmul_rn(static_cast<float>(qb), mb));
#else
  float pa = static_cast<float>(qa) * ma, pb = static_cast<float>(qb) * mb;
  float t = pa + pb;
#endif
  return static_cast<std::int32_t>(rintf(clampf(t, static_cast<float>(lo - z), static_cast<float>(hi - z)))) + z;
}

}  // namespace
}  // namespace qmath
}  // namespace octet
