#include "quant/training/weight_grids.h"

#include "core/error.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

nn::Module::NamedModules layers_with_weight_grids(const nn::Module& model) {
  nn::Module::NamedModules all;
  for (const auto& entry : model.named_modules())
    if (quantizer_in(*entry.second, "weight_transform") != nullptr) all.push_back(entry);
  return all;
}

void require_weight_grids(const nn::Module& model, const char* where) {
  OCTET_CHECK(!layers_with_weight_grids(model).empty(), where,
              "the model has no quantized weights ---> HINT prepare() it first");
}

}  // namespace octet::quant
