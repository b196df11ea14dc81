// Distillation (Hinton et al. 2015): how far a student's softmax is from a teacher's, both of logits divided by a
// temperature T, over [pictures, classes], in f32 and f64, computed in double with core/portable_math.h and rounded
// once. With the probabilities t and s of a picture:
//   softmax_kl_fwd: difference = s − t, which the backward pass needs, and
//                   *loss = T²·mean over pictures of Σ t·(log t − log s), summed in order; where t = 0: nothing
//   softmax_kl_bwd: d_logits = T·difference·d_loss / pictures: the student's; the teacher learns nothing
// A loss that is not finite is passed on as it is.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct SoftmaxKlProblem {
  std::int64_t pictures = 1, classes = 1;
  double temperature = 1;
  std::string str() const;
};
struct SoftmaxKlPointers {
  const void *logits = nullptr, *teacher = nullptr;  ///< pictures,classes
  void* difference = nullptr;                        ///< pictures,classes (fwd writes, bwd reads)
  void* loss = nullptr;                              ///< 1
  const void* d_loss = nullptr;                      ///< 1
  void* d_logits = nullptr;                          ///< pictures,classes
};
using SoftmaxKlRow = Row<SoftmaxKlProblem, SoftmaxKlPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(SoftmaxKlProblem, SoftmaxKlPointers, __VA_ARGS__)
#include "kernels/softmax_kl/kernels.inc"
#undef KERNEL

/// Passes: softmax_kl_fwd, softmax_kl_bwd.
std::span<const SoftmaxKlRow> softmax_kl_rows();

}  // namespace octet::kernels
