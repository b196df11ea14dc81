// The map in front of a fused convolution over vectors: forward for loads, its gate for gradients. Included after a
// simd header.
#pragma once
#include "kernels/conv_bn.h"
#include "kernels/fake_quant/codes_vector.inl"

namespace octet::kernels {
namespace {

inline FakeQuantProblem grid_of(const ConvBnProblem& p) {
  FakeQuantProblem grid;
  grid.zero_point = p.zero_point, grid.lo = p.lo, grid.hi = p.hi, grid.masked = p.masked;
  return grid;
}

/// The arithmetic of one vector of channels. Without scale and shift it multiplies by 1 and adds −0: nothing changes.
struct MapVector {
  VecF scale, shift, lo, hi;
  MapVector(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t c, int lanes)
      : scale(p.mapped ? VecF::load(io.scale + c, lanes) : VecF::set1(1.0f)),
        shift(p.mapped ? VecF::load(io.shift + c, lanes) : VecF::set1(-0.0f)),
        lo(VecF::set1(p.act == Activation::none ? -__builtin_inff() : 0.0f)),
        hi(VecF::set1(p.act == Activation::relu6 ? 6.0f : __builtin_inff())) {}
  OCTET_SIMD VecF affine(VecF src) const { return fma(src, scale, shift); }
  /// As activate() of activation.h, bounds without effect standing for what an activation has not.
  OCTET_SIMD VecF activated(VecF src) const { return min(hi, max(lo, affine(src))); }
};

/// f32 values in order as integers in order; −0 and +0 are one.
inline float value_at_place(std::int64_t place) {
  const auto bits = static_cast<std::uint32_t>(place < 0 ? 0x80000000 - place : place);
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
constexpr std::int64_t kInfinityPlace = 0x7f800000;

/// The first value from −inf on for which `reached` holds; it holds for +inf and for all values beyond the first.
template <class F>
inline std::int64_t first_place(F reached) {
  std::int64_t below = -kInfinityPlace - 1, at = kInfinityPlace;
  while (at - below > 1) {
    const std::int64_t middle = below + (at - below) / 2;
    if (reached(value_at_place(middle)))
      at = middle;
    else
      below = middle;
  }
  return at;
}

/// Where the map passes gradients: t = fma(src, scale, shift) in [least, most]. So neither activation nor division has
/// to be done again: a quotient rounds monotonously, its bounds are found once per call.
struct Gate {
  bool open;  ///< everywhere, NaN included
  float least, most;
};
inline Gate gate_of(const ConvBnProblem& p, float step) {
  const bool masked = p.quantized && p.masked;
  std::int64_t least = -kInfinityPlace, most = kInfinityPlace;
  if (masked) {
    // t / step = −t / −step exactly.
    const bool turned = step < 0;
    const float s = turned ? -step : step;
    const auto lo = static_cast<float>(p.lo - p.zero_point), hi = static_cast<float>(p.hi - p.zero_point);
    if (!(s > 0)) {
      most = -kInfinityPlace - 1;  // a quotient by zero is infinite or NaN
    } else if (s > 3.4028234e38f) {
      const bool holds_zero = lo <= 0 && hi >= 0;  // a quotient by infinity is zero, of infinities NaN
      least = 1 - kInfinityPlace, most = holds_zero ? kInfinityPlace - 1 : -kInfinityPlace;
    } else {
      const float from = turned ? -hi : lo, to = turned ? -lo : hi;
      least = first_place([=](float t) { return t / s >= from; });
      most = first_place([=](float t) { return t / s > to; }) - 1;
    }
  }
  if (p.act != Activation::none && least < 1) least = 1;  // t > 0
  constexpr std::int64_t kBelowSix = 0x40c00000 - 1;
  if (p.act == Activation::relu6 && most > kBelowSix) most = kBelowSix;
  const bool open = !masked && p.act == Activation::none;
  if (least > most) return {open, __builtin_inff(), -__builtin_inff()};
  return {open, value_at_place(least), value_at_place(most)};
}

}  // namespace
}  // namespace octet::kernels
