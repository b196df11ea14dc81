// Codes of both rules of core/qmath.h over vectors, for the rooms fake_quant and quantize; included after the vector
// types.
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// Codes are held in floats and moved by the zero point: beyond 2^22 that would no longer be exact.
const char* codes_too_wide(const FakeQuantProblem& p) {
  constexpr std::int32_t most = 1 << 22;
  const bool fits = p.lo >= -most && p.hi <= most && p.zero_point >= -most && p.zero_point <= most;
  return fits ? nullptr : "codes beyond 2^22";
}

/// qmath::round_away.
OCTET_SIMD VecF round_away(VecF x) {
  const VecF t = truncate(x);
  const VecF one = select(x < VecF::zero(), VecF::set1(-1.0f), VecF::set1(1.0f));
  return select(abs(x - t) >= VecF::set1(0.5f), t + one, t);
}

/// One channel's grid under QuantRule::onnx.
struct OnnxGrid {
  VecF scale, lo, hi;
  OnnxGrid(const FakeQuantProblem& p, float s)
      : scale(VecF::set1(s)),
        lo(VecF::set1(static_cast<float>(p.lo - p.zero_point))),
        hi(VecF::set1(static_cast<float>(p.hi - p.zero_point))) {}
  /// The element's place on the grid, unrounded; inside means lo <= t <= hi.
  OCTET_SIMD VecF position(VecF x) const { return x / scale; }
  /// The code less the zero point: never −0, and 0 for NaN.
  OCTET_SIMD VecF code(VecF x) const { return code_at(x, position(x)); }
  OCTET_SIMD VecF code_at(VecF, VecF t) const {
    const VecF q = round_even(min(max(t, lo), hi)) + VecF::zero();
    return select(is_nan(t), VecF::zero(), q);
  }
  OCTET_SIMD VecF value(VecF code) const { return code * scale; }
  /// The code in units of position().
  OCTET_SIMD VecF place(VecF code) const { return code; }
  /// Of a position from a code, in steps.
  OCTET_SIMD VecF distance(VecF t, VecF code) const { return t - code; }
};

/// One channel's grid under QuantRule::paddle.
struct PaddleGrid {
  VecF scale, below, factor, top, lo, hi;
  PaddleGrid(const FakeQuantProblem& p, float s)
      : scale(VecF::set1(s)),
        below(VecF::set1(-s)),
        factor(VecF::set1(static_cast<float>(p.hi) * qmath::paddle_inverse(s))),
        top(VecF::set1(static_cast<float>(p.hi))),
        lo(VecF::set1(-1.0f)),
        hi(VecF::set1(1.0f)) {}
  OCTET_SIMD VecF position(VecF x) const { return x / scale; }
  OCTET_SIMD VecF code(VecF x) const { return code_at(x, x); }
  OCTET_SIMD VecF code_at(VecF x, VecF) const {
    const VecF clamped = select(x < below, below, select(x > scale, scale, x));
    const VecF t = factor * clamped;
    return select(is_nan(t), VecF::zero(), round_away(t) + VecF::zero());
  }
  OCTET_SIMD VecF value(VecF code) const { return code * scale / top; }
  OCTET_SIMD VecF place(VecF code) const { return code / top; }
  OCTET_SIMD VecF distance(VecF t, VecF code) const { return t * top - code; }
};

template <class Grid>
struct GridTag {
  using type = Grid;
};
/// f(tag) with the rule known at compile time.
template <class F>
inline void with_grid(const FakeQuantProblem& p, F f) {
  if (p.rule == QuantRule::onnx) return f(GridTag<OnnxGrid>{});
  f(GridTag<PaddleGrid>{});
}

}  // namespace
}  // namespace octet::kernels
