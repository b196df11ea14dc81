#include "quant/analysis/value_places.h"

#include <algorithm>

namespace octet::quant {
namespace {

nn::Module* module_of(const PlanNode& node, const nn::Module::NamedModules& modules) {
  if (node.layer != nullptr) return node.layer;
  const auto named =
      std::find_if(modules.begin(), modules.end(), [&](const auto& entry) { return entry.first == node.name; });
  return named != modules.end() ? named->second : nullptr;
}

}  // namespace

std::vector<ValuePlace> value_places(const nn::Module& model, const Plan& plan) {
  const auto modules = model.named_modules();
  std::vector<ValuePlace> places;
  for (const PlanNode& node : plan.nodes) {
    nn::Module* module = module_of(node, modules);
    if (module == nullptr) continue;
    for (std::size_t j = 0; j < node.inputs.size(); ++j) {
      const PlanNode& value = plan.nodes[static_cast<std::size_t>(node.inputs[j])];
      const std::string slot = node.inputs.size() == 1 ? "input_transform" : j == 0 ? "lhs_transform" : "rhs_transform";
      const bool known =
          std::any_of(places.begin(), places.end(), [&](const ValuePlace& place) { return place.value == &value; });
      if (value.type.is_codes && !known && module->slot(slot) != nullptr) places.push_back({module, slot, &value});
    }
  }
  return places;
}

}  // namespace octet::quant
