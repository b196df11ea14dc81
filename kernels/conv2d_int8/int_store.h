// The stores of conv2d_int8.h for one accumulator: what the reference and vendor rows do, and vector rows reproduce.
#pragma once
#include "kernels/activation.h"
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels {
namespace {

/// dst[i] from accumulator a; bias is -0.0f when the layer has none, which adds nothing to any float.
inline void store_accumulator(const IntStore& store, std::int32_t a, float multiplier, float bias, void* dst,
                              std::int64_t i) {
  if (store.dst == DType::f32) {
    const float product = static_cast<float>(a) * multiplier;
    static_cast<float*>(dst)[i] = activate(product + bias, store.act);
    return;
  }
  const std::int32_t q = store.rule == QuantRule::onnx
                             ? qmath::requantize(a, multiplier, store.z, store.lo, store.hi)
                             : qmath::requantize_paddle(a, multiplier, bias, store.lo, store.hi);
  static_cast<std::uint8_t*>(dst)[i] = static_cast<std::uint8_t>(q);
}

}  // namespace
}  // namespace octet::kernels
