// Softmax and cross-entropy over [pictures, classes], in f32 and f64, computed in double with core/portable_math.h and
// rounded once; label smoothing ε as in Szegedy et al. 2016: target = (1 − ε)·onehot + ε / classes.
//   softmax_xent_fwd: probabilities (saved for backward) and *loss = mean over pictures, summed in order
//   softmax_xent_bwd: d_logits = (probabilities − target) · d_loss / pictures
// A loss that is not finite is passed on as it is.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct SoftmaxXentProblem {
  std::int64_t pictures = 1, classes = 1;
  double label_smoothing = 0;
  std::string str() const;
};
struct SoftmaxXentPointers {
  const void* logits = nullptr;          ///< pictures,classes
  const std::int32_t* labels = nullptr;  ///< pictures, checked by the caller
  void* probabilities = nullptr;         ///< pictures,classes (fwd writes, bwd reads)
  void* loss = nullptr;                  ///< 1
  const void* d_loss = nullptr;          ///< 1
  void* d_logits = nullptr;              ///< pictures,classes
};
using SoftmaxXentRow = Row<SoftmaxXentProblem, SoftmaxXentPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(SoftmaxXentProblem, SoftmaxXentPointers, __VA_ARGS__)
#include "kernels/softmax_xent/kernels.inc"
#undef KERNEL

/// Passes: softmax_xent_fwd, softmax_xent_bwd.
std::span<const SoftmaxXentRow> softmax_xent_rows();

}  // namespace octet::kernels
