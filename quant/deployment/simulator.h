// The simulator: the integer arithmetic of the contract in plain loops over the traced graph, with core/qmath.h and without any
// kernel. Slow enough to read, fast enough for a whole test set. The engine must give the same codes.
#pragma once
#include <memory>

#include "core/safetensors.h"
#include "quant/deployment/plan.h"

namespace octet::quant {

class Simulator {
 public:
  /// Of a prepared model that has seen data; weights are read now. Throws Error as make_plan() does.
  Simulator(nn::Module& model, const Shape& shape, const QuantConfig& config);

  /// pictures N,H,W,C f32 → logits N,classes. With `values`, every node's value under the names of the Graph: codes
  /// (u8, s8) or f32, N,H,W,C.
  Tensor run(const Tensor& pictures, NamedTensors* values = nullptr) const;

 private:
  struct Layer;
  Plan plan_;
  std::vector<std::shared_ptr<const Layer>> layers_;  ///< per node; null where there are no weights
};

}  // namespace octet::quant
