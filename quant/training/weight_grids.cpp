#include "quant/training/weight_grids.h"

#include "core/error.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

namespace {

constexpr const char* kSlot = "weight_transform";

}  // namespace

nn::Module::NamedModules layers_with_weight_grids(const nn::Module& model) {
  nn::Module::NamedModules all;
  for (const auto& entry : model.named_modules())
    if (const FakeQuantizer* quantizer = quantizer_in(*entry.second, kSlot);
        quantizer != nullptr && quantizer->has_weight_grid())
      all.push_back(entry);
  return all;
}

void require_weight_grids(const nn::Module& model, const char* where) {
  bool any = false;
  for (const auto& [path, module] : model.named_modules()) {
    const FakeQuantizer* quantizer = quantizer_in(*module, kSlot);
    if (quantizer == nullptr) continue;
    any = true;
    if (!quantizer->has_weight_grid())
      fail(where, fmt::format("the codes of {}'s weight are no steps of the weight itself", path),
           "choose another weight_quantize_type, or leave the option off");
  }
  OCTET_CHECK(any, where, "the model has no quantized weights ---> HINT prepare() it first");
}

}  // namespace octet::quant
