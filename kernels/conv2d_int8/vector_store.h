// The stores of conv2d_int8.h on vectors: the bits of int_store.h. Included after simd_avx2.h or simd_avx512.h;
// internal linkage throughout.
#pragma once
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

enum class StoreKind : std::uint8_t { onnx, paddle, floats };

/// An IntStore, ready for vectors.
struct VectorStore {
  StoreKind kind;
  Activation act;
  VecF lo, hi;
  VecI z;
};

inline VectorStore vector_store(const IntStore& store) {
  const StoreKind kind = store.dst == DType::f32         ? StoreKind::floats
                         : store.rule == QuantRule::onnx ? StoreKind::onnx
                                                         : StoreKind::paddle;
  const std::int32_t z = kind == StoreKind::onnx ? store.z : 0;
  return {kind, store.act, VecF::set1(static_cast<float>(store.lo - z)), VecF::set1(static_cast<float>(store.hi - z)),
          VecI::set1(z)};
}

/// qmath::clampf.
OCTET_SIMD VecF clamp(VecF t, VecF lo, VecF hi) { return min(hi, max(lo, t)); }

/// qmath::round_away and conversion; |t| < 2^31.
OCTET_SIMD VecI to_int_away(VecF t) {
  const VecF whole = truncate(t);
  const VecF sign = float_of(bits_of(t) & VecI::set1(INT32_MIN));
  const VecF one = float_of(bits_of(sign) | bits_of(VecF::set1(1.0f)));
  return to_int_truncate(select(abs(t - whole) >= VecF::set1(0.5f), whole + one, whole));
}

template <StoreKind K>
OCTET_SIMD VecI codes_of(const VectorStore& s, VecI a, VecF multiplier, VecF bias) {
  const VecF t = to_float(a) * multiplier;
  if (K == StoreKind::onnx) return to_int_even(clamp(t, s.lo, s.hi)) + s.z;
  return to_int_away(clamp(t + bias, s.lo, s.hi));
}

OCTET_SIMD VecF floats_of(const VectorStore& s, VecI a, VecF multiplier, VecF bias) {
  const VecF t = to_float(a) * multiplier + bias;
  if (s.act == Activation::none) return t;
  return s.act == Activation::relu ? activate<Activation::relu>(t) : activate<Activation::relu6>(t);
}

/// dst[i …] from the accumulators of neighbouring channels.
template <StoreKind K, class Part>
OCTET_SIMD void store_accumulators(const VectorStore& s, VecI a, VecF multiplier, VecF bias, void* dst, std::int64_t i,
                                   Part part) {
  if (K == StoreKind::floats)
    store(floats_of(s, a, multiplier, bias), static_cast<float*>(dst) + i, part);
  else
    store_bytes(codes_of<K>(s, a, multiplier, bias), static_cast<std::uint8_t*>(dst) + i, part);
}

}  // namespace
}  // namespace octet::kernels
