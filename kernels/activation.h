// The activation of a value and its derivative, for reference rows; vector_loop.h mirrors it.
#pragma once
#include "core/host_device.h"
#include "kernels/problem.h"

namespace octet::kernels {
namespace {

/// relu max(t, 0), relu6 min(max(t, 0), 6); NaN stays NaN, so that a lost training run shows in its loss.
template <class T>
inline OCTET_HD T activate(T t, Activation act) {
  if (act == Activation::none) return t;
  t = T(0) > t ? T(0) : t;
  return act == Activation::relu6 && T(6) < t ? T(6) : t;
}

/// Does a gradient pass? none: always; relu: t > 0; relu6: 0 < t < 6 (so never for NaN).
template <class T>
inline OCTET_HD bool passes(T t, Activation act) {
  return act == Activation::none || (t > T(0) && (act == Activation::relu || t < T(6)));
}

}  // namespace
}  // namespace octet::kernels
