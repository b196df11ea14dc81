// PACT as PaddleSlim has it (Choi et al. 2018 for x >= 0), in f32 and f64, α one element:
//   pact_fwd: dst = α where src > α, −α where src < −α, else src (as src − relu(src − α) + relu(−α − src), without its
//             rounding errors)
//   pact_bwd: d_src = d_dst·(1 − [src > α] − [src < −α]);  d_alpha = Σ d_dst·([src > α] − [src < −α])
// The comparisons are of src − α and −α − src with 0. d_alpha sums in double: within runs of 2^14 elements, then run by
// run.
#pragma once
#include "core/host_device.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct PactProblem {
  std::int64_t count = 1;
  std::string str() const;
};
struct PactPointers {
  const void* src = nullptr;    ///< count
  const void* alpha = nullptr;  ///< 1
  void* dst = nullptr;          ///< fwd: count
  const void* d_dst = nullptr;  ///< bwd: count
  void* d_src = nullptr;        ///< bwd: count
  void* d_alpha = nullptr;      ///< bwd: 1
};
using PactRow = Row<PactProblem, PactPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(PactProblem, PactPointers, __VA_ARGS__)
#include "kernels/pact/kernels.inc"
#undef KERNEL

namespace {  // internal linkage: what every row shares

template <class T>
inline OCTET_HD T pact_value(T x, T alpha) {
  return x - alpha > 0 ? alpha : (-alpha - x > 0 ? -alpha : x);
}
/// 1 above the threshold, −1 below it, 0 between.
template <class T>
inline OCTET_HD int pact_side(T x, T alpha) {
  return static_cast<int>(x - alpha > 0) - static_cast<int>(-alpha - x > 0);
}
template <class T>
inline OCTET_HD int pact_passes(T x, T alpha) {
  return 1 - static_cast<int>(x - alpha > 0) - static_cast<int>(-alpha - x > 0);
}

}  // namespace

/// Passes: pact_fwd, pact_bwd.
std::span<const PactRow> pact_rows();

}  // namespace octet::kernels
