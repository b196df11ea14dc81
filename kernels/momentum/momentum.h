// The Momentum update in place (Polyak 1964; Nesterov's form as in Sutskever et al. 2013), in f32 and f64:
//   g ← fma(weight_decay, w, g)   v ← fma(momentum, v, g)
//   w ← fma(−lr, v, w), with nesterov fma(−lr, fma(momentum, v, g), w)
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct MomentumProblem {
  std::int64_t count = 0;
  double lr = 0.1, momentum = 0.9, weight_decay = 0;
  bool nesterov = false;
  std::string str() const;
};
struct MomentumPointers {
  const void* gradient = nullptr;
  void* velocity = nullptr;
  void* weight = nullptr;
};
using MomentumRow = Row<MomentumProblem, MomentumPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(MomentumProblem, MomentumPointers, __VA_ARGS__)
#include "kernels/momentum/kernels.inc"
#undef KERNEL

/// Pass: momentum.
std::span<const MomentumRow> momentum_rows();

}  // namespace octet::kernels
