// Codes from floats and back, straight from core/qmath.h.
#include "kernels/quantize/quantize.h"

namespace octet::kernels {
namespace {

template <class Code>
void quantize_fwd(const QuantizeProblem& p, const QuantizePointers& x) {
  const float* src = static_cast<const float*>(x.src);
  Code* dst = static_cast<Code*>(x.dst);
  for (std::int64_t c = 0, i = 0; c < p.channels; ++c) {
    for (std::int64_t j = 0; j < p.inner; ++j, ++i) {
      dst[i] =
          static_cast<Code>(p.rule == QuantRule::onnx ? qmath::quantize(src[i], x.scale[c], p.zero_point, p.lo, p.hi)
                                                      : qmath::quantize_paddle(src[i], x.scale[c], p.hi));
    }
  }
}

template <class Code>
void dequantize_fwd(const QuantizeProblem& p, const QuantizePointers& x) {
  const Code* src = static_cast<const Code*>(x.src);
  float* dst = static_cast<float*>(x.dst);
  for (std::int64_t c = 0, i = 0; c < p.channels; ++c) {
    for (std::int64_t j = 0; j < p.inner; ++j, ++i) {
      dst[i] = p.rule == QuantRule::onnx ? qmath::dequantize(src[i], x.scale[c], p.zero_point)
                                         : qmath::dequantize_paddle(src[i], x.scale[c], p.hi);
    }
  }
}

}  // namespace

#define ROW(pass, dtypes, Code)                                                                           \
  const char* pass##_##dtypes##_reference_why_not(const QuantizeProblem&) { return nullptr; }             \
  void pass##_##dtypes##_reference(const QuantizeProblem& p, const QuantizePointers& x, const Context&) { \
    pass<Code>(p, x);                                                                                     \
  }
ROW(quantize_fwd, f32u8, std::uint8_t)
ROW(quantize_fwd, f32s8, std::int8_t)
ROW(dequantize_fwd, u8f32, std::uint8_t)
ROW(dequantize_fwd, s8f32, std::int8_t)
#undef ROW

}  // namespace octet::kernels
