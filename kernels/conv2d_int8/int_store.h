// The stores of conv2d_int8.h for one accumulator: what the reference, vendor and device rows do, and vector rows
// reproduce.
#pragma once
#include "kernels/activation.h"
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {
namespace {

/// Stores to f32. bias is -0.0f when the layer has none, which adds nothing to any float.
inline OCTET_HD float stored_float(const IntStore& store, std::int32_t a, float multiplier, float bias) {
  const float product = static_cast<float>(a) * multiplier;
  return activate(product + bias, store.act);
}
/// Stores to codes.
inline OCTET_HD std::uint8_t stored_code(const IntStore& store, std::int32_t a, float multiplier, float bias) {
  return static_cast<std::uint8_t>(store.rule == QuantRule::onnx
                                       ? qmath::requantize(a, multiplier, store.z, store.lo, store.hi)
                                       : qmath::requantize_paddle(a, multiplier, bias, store.lo, store.hi));
}

/// dst[i] from accumulator a.
inline void store_accumulator(const IntStore& store, std::int32_t a, float multiplier, float bias, void* dst,
                              std::int64_t i) {
  if (store.dst == DType::f32)
    static_cast<float*>(dst)[i] = stored_float(store, a, multiplier, bias);
  else
    static_cast<std::uint8_t*>(dst)[i] = stored_code(store, a, multiplier, bias);
}

}  // namespace
}  // namespace octet::kernels
