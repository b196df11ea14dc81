#include "quant/analysis/sensitivity.h"

#include "quant/quantizers/quantizer_switches.h"

namespace octet::quant {

Sensitivity sensitivity(nn::Module& model, const data::Dataset& dataset, std::int64_t batch_size,
                        const SensitivityProgress& progress) {
  const std::vector<QuantizedLayer> layers = quantized_layers(model, "sensitivity");
  QuantizerSwitches switches(layers);
  model.eval();
  const NoGrad no_grad;
  const auto total = static_cast<std::int64_t>(2 + 2 * layers.size());
  std::int64_t done = 0;
  const auto score = [&](bool on, const QuantizedLayer* layer) {
    switches.set(on, layer);
    const optim::Scores scores =
        optim::evaluate([&](const Tensor& images) { return model(Variable(images)).value(); }, dataset, batch_size);
    if (progress) progress(++done, total);
    return scores;
  };
  Sensitivity result;
  result.floats = score(false, nullptr);
  result.quantized = score(true, nullptr);
  for (const QuantizedLayer& layer : layers)
    result.layers.push_back({layer.name, score(false, &layer), score(true, &layer)});
  return result;
}

}  // namespace octet::quant
