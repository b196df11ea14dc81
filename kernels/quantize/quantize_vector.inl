// Codes from floats and back over vectors; included by avx2.cpp and avx512.cpp after their vector types.
#include "kernels/fake_quant/codes_vector.inl"
#include "kernels/quantize/quantize.h"

namespace octet::kernels {
namespace {

/// f(c, begin, end) for blocks of every channel, as indices of the flattened tensor.
template <class F>
void for_channel_blocks(const QuantizeProblem& p, F f) {
  for_row_blocks(p.channels, p.inner, kBlock, [&](std::int64_t c, std::int64_t, std::int64_t begin, std::int64_t end) {
    f(c, c * p.inner + begin, c * p.inner + end);
  });
}

void quantize_fwd(const QuantizeProblem& p, const QuantizePointers& x) {
  const float* src = floats(x.src);
  std::uint8_t* dst = static_cast<std::uint8_t*>(x.dst);
  const VecI zero_point = VecI::set1(p.rule == QuantRule::onnx ? p.zero_point : 0);
  with_grid(p, [&](auto tag) {
    for_channel_blocks(p, [&](std::int64_t c, std::int64_t begin, std::int64_t end) {
      const typename decltype(tag)::type grid(p, x.scale[c]);
      for_vectors(begin, end, [=](std::int64_t i, auto part) {
        store_bytes(to_int_even(grid.code(load(src + i, part))) + zero_point, dst + i, part);
      });
    });
  });
}

template <class Code>
void dequantize_fwd(const QuantizeProblem& p, const QuantizePointers& x) {
  const Code* src = static_cast<const Code*>(x.src);
  float* dst = floats(x.dst);
  const VecI zero_point = VecI::set1(p.rule == QuantRule::onnx ? p.zero_point : 0);
  with_grid(p, [&](auto tag) {
    for_channel_blocks(p, [&](std::int64_t c, std::int64_t begin, std::int64_t end) {
      const typename decltype(tag)::type grid(p, x.scale[c]);
      for_vectors(begin, end, [=](std::int64_t i, auto part) {
        store(grid.value(to_float(load(src + i, part) - zero_point)), dst + i, part);
      });
    });
  });
}

}  // namespace

#define ROW(pass, dtypes, runs) OCTET_VECTOR_ROW(QuantizeProblem, QuantizePointers, pass, dtypes, codes_too_wide, runs)
ROW(quantize_fwd, f32u8, quantize_fwd)
ROW(quantize_fwd, f32s8, quantize_fwd)
ROW(dequantize_fwd, u8f32, dequantize_fwd<std::uint8_t>)
ROW(dequantize_fwd, s8f32, dequantize_fwd<std::int8_t>)
#undef ROW

}  // namespace octet::kernels
