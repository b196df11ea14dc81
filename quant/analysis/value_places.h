// Where the values of a plan can be seen while the net runs.
#pragma once
#include <string>
#include <vector>

#include "quant/deployment/plan.h"

namespace octet::quant {

/// A slot whose quantizer makes a value of the plan: in front of a convolution, linear layer, pool or addition.
struct ValuePlace {
  nn::Module* module = nullptr;
  std::string slot;
  const PlanNode* value = nullptr;
};

/// One place for each value of codes that some slot makes, in the order of its readers. The plan must outlive them.
std::vector<ValuePlace> value_places(const nn::Module& model, const Plan& plan);

}  // namespace octet::quant
