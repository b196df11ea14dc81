// DoReFa's weights (Zhou et al. 2016), in f32 and f64: with t = top/tanh(top), 1 where top is 0,
//   dorefa_fwd: dst = t·tanh(src)
//   dorefa_bwd: d_src = d_dst·t·(1 − tanh²(src))
// The paper divides by tanh(top) alone, so that weights end at 1; here they end where they did, at top = max |src|. In both passes
// it is a constant. tanh by element.h in the row's own type: rows of f32 have the same bits. NaN makes NaN.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct DorefaProblem {
  std::int64_t count = 1;
  std::string str() const;
};
struct DorefaPointers {
  const void* src = nullptr;    ///< count
  const void* top = nullptr;    ///< 1, finite, 0 or more
  void* dst = nullptr;          ///< fwd: count; may be src
  const void* d_dst = nullptr;  ///< bwd: count
  void* d_src = nullptr;        ///< bwd: count; may be d_dst
};
using DorefaRow = Row<DorefaProblem, DorefaPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(DorefaProblem, DorefaPointers, __VA_ARGS__)
#include "kernels/dorefa/kernels.inc"
#undef KERNEL

/// Passes: dorefa_fwd, dorefa_bwd.
std::span<const DorefaRow> dorefa_rows();

}  // namespace octet::kernels
