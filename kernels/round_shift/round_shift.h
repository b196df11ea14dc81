// A folded shift, or a layer's bias, on the accumulator's grid (docs/quantization.md), in f32 and f64:
//   round_shift: with s_w'[i] = fl(s_w[i]·|scale[i]|) (s_w[i] for a bias) and step = s_x·s_w'[i] in double,
//                dst[i] = rint(shift[i] / step)·step; channels pass unrounded whose step is 0 or not finite, or whose
//                code passes 2^30. May run in place.
#pragma once
#include <cmath>

#include "core/host_device.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct RoundShiftProblem {
  std::int64_t c = 1;
  bool per_channel = false;  ///< s_w has c entries, else 1
  std::string str() const;
};
struct RoundShiftPointers {
  const void* scale = nullptr;  ///< c, or null for a bias
  const void* shift = nullptr;  ///< c
  const float* s_x = nullptr;   ///< 1
  const float* s_w = nullptr;   ///< 1 or c
  void* dst = nullptr;          ///< c
};
using RoundShiftRow = Row<RoundShiftProblem, RoundShiftPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(RoundShiftProblem, RoundShiftPointers, __VA_ARGS__)
#include "kernels/round_shift/kernels.inc"
#undef KERNEL

namespace {  // internal linkage: what every row shares

template <class T>
inline OCTET_HD void round_one_shift(const RoundShiftProblem& p, const RoundShiftPointers& x, std::int64_t i) {
  constexpr double kMost = 1 << 30;
  const float weight_step = x.s_w[p.per_channel ? i : 0];
  const float folded =
      x.scale == nullptr ? weight_step : weight_step * fabsf(static_cast<float>(static_cast<const T*>(x.scale)[i]));
  const double step = static_cast<double>(*x.s_x) * static_cast<double>(folded);
  const T shift = static_cast<const T*>(x.shift)[i];
  T* dst = static_cast<T*>(x.dst) + i;
  *dst = shift;
  if (!(step > 0) || !(step <= 1.7976931348623157e308)) return;
  const double code = rint(static_cast<double>(shift) / step);
  if (fabs(code) <= kMost) *dst = static_cast<T>(code * step);
}

}  // namespace

/// Pass: round_shift.
std::span<const RoundShiftRow> round_shift_rows();

}  // namespace octet::kernels
