// One net as floats and as quantized, value by value.
#pragma once
#include <string>
#include <vector>

#include "core/tensor.h"
#include "quant/deployment/plan.h"

namespace octet::quant {

/// A value of the net on its way into the quantizer of its reader.
struct ValuePair {
  const PlanNode* node = nullptr;  ///< that makes it; its type.grid is what it is rounded to
  Tensor floats;                   ///< f32 N,H,W,C (or N,C): nothing in the net is rounded
  Tensor quantized;                ///< everything before it is
};

struct BothRuns {
  std::vector<ValuePair> values;  ///< in the order of their readers
  Tensor float_logits, logits;    ///< f32 N,classes
};

/// Runs `pictures` (f32 N,H,W,C) through the prepared model in evaluation, with quantizers off and on; `plan` is of the
/// model and must outlive the result. The model is left as it was.
BothRuns run_both(nn::Module& model, const Plan& plan, const Tensor& pictures);

}  // namespace octet::quant
