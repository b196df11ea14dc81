// oneDNN at its best on an integer convolution: one primitive that sums, scales and stores codes. For benchmarks: where
// sums pass 2^24, or with oneDNN 3.x, a code may differ from ours by one.
#pragma once
#include <memory>

#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels::onednn {

class FusedIntConv {
 public:
  /// Null when oneDNN can: its sums are exact on this processor, codes out are all of a dtype around 0 (relu is u8), or
  /// floats without activation.
  static const char* why_not(const IntConvProblem& problem, bool depthwise);
  /// Makes the primitive and packs. bias_f32 of the weights is not looked at. Throws Error when oneDNN does.
  FusedIntConv(const IntConvProblem& problem, bool depthwise, const IntConvWeights& weights);
  /// One call at a time: the primitive has one scratchpad.
  void run(const void* src, void* dst) const;

 private:
  struct Made;
  std::shared_ptr<Made> made_;
};

}  // namespace octet::kernels::onednn
