#include "quant/quantizers/quantizer_switches.h"

#include "core/error.h"

namespace octet::quant {

std::vector<QuantizedLayer> quantized_layers(const nn::Module& model, const char* where) {
  std::vector<QuantizedLayer> layers;
  for (const auto& [path, module] : model.named_modules()) {
    QuantizedLayer layer{path, module, {}};
    for (const std::string& slot : module->slot_names()) {
      auto* quantizer = quantizer_in(*module, slot);
      if (quantizer == nullptr) continue;
      if (slot != "weight_transform" && !quantizer->params())
        fail(where, fmt::format("the quantizer in front of {} has seen no data", path),
             "fine-tune or calibrate the net first");
      layer.quantizers.push_back(quantizer);
    }
    if (!layer.quantizers.empty()) layers.push_back(std::move(layer));
  }
  if (layers.empty()) fail(where, "the model has no quantizers", "give a QAT or PTQ model, or prepare() it first");
  return layers;
}

QuantizerSwitches::QuantizerSwitches(const std::vector<QuantizedLayer>& layers) {
  for (const QuantizedLayer& layer : layers)
    for (FakeQuantizer* quantizer : layer.quantizers) before_.emplace(quantizer, quantizer->quantizing());
}

QuantizerSwitches::~QuantizerSwitches() {
  for (const auto& [quantizer, on] : before_) quantizer->set_quantizing(on);
}

void QuantizerSwitches::set(bool on, const QuantizedLayer* except) {
  for (const auto& [quantizer, before] : before_) quantizer->set_quantizing(on);
  if (except == nullptr) return;
  for (FakeQuantizer* quantizer : except->quantizers) quantizer->set_quantizing(!on);
}

}  // namespace octet::quant
