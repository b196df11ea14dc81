// The observers' rules, for every row: quantizer.h has the formulas.
#pragma once
#include <cmath>

#include "kernels/quantizer/quantizer.h"

namespace octet::kernels {
namespace {

/// A range that keeps what is not finite.
struct SeenRange {
  float low, high;
  inline OCTET_HD void widen(float other_low, float other_high) {
    low = low != low || low < other_low ? low : other_low;
    high = high != high || high > other_high ? high : other_high;
  }
  inline OCTET_HD float abs_max() const {
    const float a = fabsf(low), b = fabsf(high);
    return a != a || a > b ? a : b;
  }
};

inline OCTET_HD float larger(float a, float b) { return a != a || a > b ? a : b; }

inline OCTET_HD float blended(double rate, float old, float fresh) {
  return static_cast<float>(rate * static_cast<double>(old) + (1 - rate) * static_cast<double>(fresh));
}

/// Does the state hold the last batches one by one?
inline OCTET_HD bool is_ring(ObserverKind kind) {
  return kind == ObserverKind::range_abs_max || kind == ObserverKind::range_min_max;
}

/// Where the next batch goes in a ring of so many. A state may come from a file, which may say anything.
inline OCTET_HD std::int64_t ring_place(float state, std::int64_t window) {
  return state >= 0 && state < static_cast<float>(window) ? static_cast<std::int64_t>(state) : 0;
}

/// The range of this step, this batch's included; at a step's first batch the state before it is put aside, and later
/// ones bring it back.
inline OCTET_HD SeenRange step_range(const QuantizerProblem& p, const QuantizerPointers& x) {
  SeenRange batch{x.range != nullptr ? x.range[0] : -x.top[0], x.range != nullptr ? x.range[1] : x.top[0]};
  float& seen = x.state[p.count];
  if (p.starts_step) {
    x.step[0] = x.state[0], x.step[1] = p.count > 1 ? x.state[1] : 0, x.step[2] = seen;
  } else {
    x.state[0] = x.step[0], seen = x.step[2];
    if (p.count > 1 && !is_ring(p.kind)) x.state[1] = x.step[1];
    batch.widen(x.step[3], x.step[4]);
  }
  x.step[3] = batch.low, x.step[4] = batch.high;
  return batch;
}

inline OCTET_HD void join_state(const QuantizerProblem& p, const QuantizerPointers& x) {
  const SeenRange batch = step_range(p, x);
  float* v = x.state;
  const float m = batch.abs_max();
  const bool first = v[p.count] == 0;
  switch (p.kind) {
    case ObserverKind::abs_max:
      v[0] = larger(m, v[0]);
      break;
    case ObserverKind::moving_average:
      v[0] = first ? m : blended(p.rate, v[0], m);
      break;
    case ObserverKind::paddle_moving_average: {
      const float rate = static_cast<float>(p.rate);
      v[0] = rate * v[0] + 1.0f, v[1] = rate * v[1] + m;
      break;
    }
    case ObserverKind::range_abs_max: {
      const std::int64_t window = p.count - 1, place = ring_place(v[0], window);
      v[1 + place] = m, v[0] = static_cast<float>((place + 1) % window);
      break;
    }
    case ObserverKind::min_max:
      v[0] = first ? batch.low : blended(p.rate, v[0], batch.low);
      v[1] = first ? batch.high : blended(p.rate, v[1], batch.high);
      break;
    case ObserverKind::extremes: {
      SeenRange seen = first ? batch : SeenRange{v[0], v[1]};
      seen.widen(batch.low, batch.high);
      v[0] = seen.low, v[1] = seen.high;
      break;
    }
    case ObserverKind::range_min_max: {
      const std::int64_t window = (p.count - 1) / 2, place = ring_place(v[0], window);
      v[1 + place] = batch.low, v[1 + window + place] = batch.high;
      v[0] = static_cast<float>((place + 1) % window);
      break;
    }
  }
  v[p.count] = 1;
}

/// max |x| of what has been seen, from the state; `ring_top`: the largest |number| of the rings, where there are some.
inline OCTET_HD float seen_top(const QuantizerProblem& p, const float* v, float ring_top) {
  switch (p.kind) {
    case ObserverKind::paddle_moving_average:
      return fabsf(v[1] / v[0]);
    case ObserverKind::range_abs_max:
    case ObserverKind::range_min_max:
      return ring_top;
    case ObserverKind::extremes:
    case ObserverKind::min_max:
      return SeenRange{v[0], v[1]}.abs_max();
    default:
      return v[0];
  }
}

/// Widens a range by what channel c of a deferred tensor spans.
inline OCTET_HD void widen_by_channel(const QuantizerProblem& p, const QuantizerPointers& x, std::int64_t c,
                                      SeenRange& range) {
  const float ends[2] = {x.low[c], x.high[c]};
  for (const float z : ends) {
    const float y = activate(x.affine == nullptr ? z : fmaf(z, x.affine[c], x.affine[p.count + c]), p.act);
    range.widen(y, y);
  }
}
/// A zero has no sign here; what holds a NaN is NaN at both ends.
inline OCTET_HD void store_range(SeenRange range, float* to) {
  const bool lost = range.low != range.low || range.high != range.high;
  to[0] = lost ? range.low + range.high : range.low + 0.0f;
  to[1] = lost ? range.low + range.high : range.high + 0.0f;
}

inline OCTET_HD float clipped_scale(const QuantizerProblem& p, float top, const float* alpha) {
  const float scale = grid_scale(p.rule, alpha != nullptr && *alpha < top ? *alpha : top, p.hi);
  return p.power_of_two ? power_of_two_above(scale) : scale;
}

}  // namespace
}  // namespace octet::kernels
