// Element by element, in f32 and f64 (a and b may be dst):
//   add_fwd:         dst = a + b
//   act_fwd:         dst = act(a)
//   act_bwd:         dst = a · act'(b), a the gradient, b the input of the activation (act, act' as in batchnorm.h)
//   mul_fwd:         dst = a · b                      (dropout mask, …)
//   channel_fma_fwd: dst[i,c] = fma(a[i,c], scale[c], b[i,c] + shift[c]); b null: fma(a, scale, shift)
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct EltwiseProblem {
  std::int64_t count = 0;  ///< elements in all
  std::int64_t c = 1;      ///< innermost extent (channel_fma_fwd)
  Activation act = Activation::none;
  std::string str() const;
};
struct EltwisePointers {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* scale = nullptr;  ///< c
  const void* shift = nullptr;  ///< c
  void* dst = nullptr;
};
using EltwiseRow = Row<EltwiseProblem, EltwisePointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(EltwiseProblem, EltwisePointers, __VA_ARGS__)
#include "kernels/eltwise/kernels.inc"
#undef KERNEL

std::span<const EltwiseRow> eltwise_rows();

}  // namespace octet::kernels
