// Codes from floats and back, over [channels, inner] as in fake_quant.h. dtypes: "f32u8", "f32s8" (quantize_fwd),
// "u8f32", "s8f32" (dequantize_fwd). Both rules of core/qmath.h; our rows give its bits. The caller sees to it that
// [lo, hi] (under QuantRule::paddle [−hi, hi]) and the zero point fit the code's type.
#pragma once
#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {

using QuantizeProblem = FakeQuantProblem;
struct QuantizePointers {
  const void* src = nullptr;
  const float* scale = nullptr;  ///< channels
  void* dst = nullptr;
};
using QuantizeRow = Row<QuantizeProblem, QuantizePointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(QuantizeProblem, QuantizePointers, __VA_ARGS__)
#include "kernels/quantize/kernels.inc"
#undef KERNEL

/// Passes: quantize_fwd, dequantize_fwd.
std::span<const QuantizeRow> quantize_rows();

}  // namespace octet::kernels
