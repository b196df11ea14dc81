// Fake quantization of one element and its slopes, in f32 (through core/qmath.h) and f64 (the same formulas in double):
// what the reference row and the device's rows share.
#pragma once
#include <cmath>
#include <type_traits>

#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {
namespace {

/// The part of a problem that elements read.
struct Grid {
  std::int32_t zero_point, lo, hi;
  QuantRule rule;
  bool masked;
  float delta;
  explicit OCTET_HD Grid(const FakeQuantProblem& p)
      : zero_point(p.zero_point),
        lo(p.lo),
        hi(p.hi),
        rule(p.rule),
        masked(p.masked),
        delta(static_cast<float>(p.delta)) {}
  /// Symmetric.
  OCTET_HD Grid(std::int32_t low, std::int32_t high, QuantRule by)
      : zero_point(0), lo(low), hi(high), rule(by), masked(true), delta(0) {}
};

/// x as a code relative to the zero point, unrounded, and the range it is clamped to: in steps under onnx, in
/// thresholds under paddle.
template <class T>
struct Position {
  T t, lo, hi;
  OCTET_HD Position(const Grid& p, T x, T scale)
      : t(x / scale),
        lo(p.rule == QuantRule::onnx ? static_cast<T>(p.lo - p.zero_point) : T(-1)),
        hi(p.rule == QuantRule::onnx ? static_cast<T>(p.hi - p.zero_point) : T(1)) {}
  OCTET_HD bool inside() const { return t >= lo && t <= hi; }
};

/// The code minus the zero point, as T.
template <class T>
inline OCTET_HD T code_of(const Grid& p, T x, float scale) {
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<float>(p.rule == QuantRule::onnx
                                  ? qmath::quantize(x, scale, p.zero_point, p.lo, p.hi) - p.zero_point
                                  : qmath::quantize_paddle(x, scale, p.hi));
  } else {
    const T s = scale;
    if (p.rule == QuantRule::onnx) {
      const Position<T> at(p, x, s);
      if (at.t != at.t) return 0;
      return rint(at.t < at.lo ? at.lo : (at.t > at.hi ? at.hi : at.t)) + 0.0;
    }
    const T inverse = s <= 1e-30 ? 1 / (s + 1e-6) : 1 / s;
    const T t = p.hi * inverse * (x < -s ? -s : (x > s ? s : x));
    return t != t ? 0 : round(t) + 0.0;
  }
}

template <class T>
inline OCTET_HD T value_of(const Grid& p, T code, float scale) {
  const T s = scale;
  return p.rule == QuantRule::onnx ? code * s : code * s / static_cast<T>(p.hi);
}

/// d(dst)/d(scale) of one element.
template <class T>
inline OCTET_HD T scale_slope(const Grid& p, T x, float scale) {
  const Position<T> at(p, x, static_cast<T>(scale));
  if (at.t < at.lo) return at.lo;
  if (at.t > at.hi) return at.hi;
  if (at.t != at.t) return 0;
  const T code = code_of(p, x, scale);
  return (p.rule == QuantRule::onnx ? code : code / static_cast<T>(p.hi)) - at.t;
}

/// The gradient of one element from that of its code.
template <class T>
inline OCTET_HD T passed_gradient(const Grid& p, T x, float scale, T d) {
  const Position<T> at(p, x, static_cast<T>(scale));
  if (!at.inside()) return p.masked ? T(0) : d;
  if (p.delta == 0) return d;
  const T distance = (p.rule == QuantRule::onnx ? at.t : at.t * static_cast<T>(p.hi)) - code_of(p, x, scale);
  const T size = static_cast<T>(fabs(static_cast<double>(d))), change = static_cast<T>(p.delta) * size * distance;
  return d + change;
}

/// sawb_top's threshold, from sums.
inline OCTET_HD float sawb_threshold(const FakeQuantProblem& p, double sizes, double squares, float top) {
  const double count = static_cast<double>(p.inner), mean = sizes / count;
  const double wanted = p.rms_factor * sqrt(squares / count) - p.mean_factor * mean;
  const float threshold = static_cast<float>(wanted > mean ? wanted : mean);
  return threshold < top ? threshold : top;
}

/// Does the grid end before x? NaN has no place.
template <class T>
inline OCTET_HD bool is_clipped(const Grid& p, T x, float scale) {
  const Position<T> at(p, x, static_cast<T>(scale));
  return at.t < at.lo || at.t > at.hi;
}

/// What |x| loses on a symmetric grid of this step up to code hi.
inline OCTET_HD float rounding_error(float size, float step, std::int32_t hi) {
  const float t = size / step, top = static_cast<float>(hi), on_grid = (t < top ? rintf(t) : top) * step;
  return size - on_grid;
}

}  // namespace
}  // namespace octet::kernels
