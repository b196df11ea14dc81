// One weight of dorefa.h, as every row has it.
#pragma once
#include "core/portable_exp2.h"
#include "core/portable_exp_log.h"

namespace octet::kernels {
namespace {  // internal linkage: compiled for each side and each instruction set

inline OCTET_HD double falling_exp(double x) { return portable::exp_of(-x); }
inline OCTET_HD float falling_exp(float x) { return portable::exp2_of(x * -1.44269504f); }

/// (1 − e)/(1 + e), e = exp(−2|x|), where that cancels little; near 0 the Taylor series.
template <class T>
inline OCTET_HD T tanh_of(T x) {
  constexpr T kNear = sizeof(T) == sizeof(float) ? T(0.25) : T(0.03125), kFlat = 20;  // beyond it is 1 in either type
  const T size = x < 0 ? -x : x, z = x * x;
  const T series =
      size * (1 + z * (T(-1.0 / 3) +
                       z * (T(2.0 / 15) + z * (T(-17.0 / 315) + z * (T(62.0 / 2835) + z * T(-1382.0 / 155925))))));
  const T e = falling_exp(2 * (size < kFlat ? size : kFlat));
  const T value = size < kNear ? series : (1 - e) / (1 + e);
  return x != x ? x : (x < 0 ? -value : value);
}

/// t of dorefa.h.
template <class T>
inline OCTET_HD T dorefa_ratio(T top) {
  return top == 0 ? T(1) : top / tanh_of(top);
}
template <class T>
inline OCTET_HD T dorefa_slope(T x, T ratio) {
  const T value = tanh_of(x);
  return ratio * (1 - value * value);
}

}  // namespace
}  // namespace octet::kernels
