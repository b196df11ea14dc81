#include "quant/analysis.h"

#include <algorithm>

#include "quant/quantizer_switches.h"
#include "quant/slot_probes.h"
#include "quant/value_places.h"
#include "quant/warnings.h"

namespace octet::quant {
namespace {

/// What went into the chosen slots, and the logits, in one forward pass.
struct Pass {
  std::vector<Tensor> values;
  Tensor logits;
};

Pass run(nn::Module& model, const SlotProbes& probes, const Tensor& pictures) {
  Pass pass;
  pass.logits = model(Variable(pictures)).value();
  for (std::size_t i = 0; i < probes.size(); ++i) {
    OCTET_CHECK(probes.went_in(i).defined(), "analysis", "slot {} was not reached", i);
    pass.values.push_back(probes.went_in(i).value());
  }
  return pass;
}

GridUse weight_use(const nn::Module& layer) {
  auto* quantizer = dynamic_cast<FakeQuantizer*>(layer.slot("weight_transform").get());
  const auto* conv = dynamic_cast<const nn::Conv2d*>(&layer);
  const Tensor weight = conv != nullptr ? conv->weight.value() : dynamic_cast<const nn::Linear&>(layer).weight.value();
  return use_of_grid(weight, quantizer->params_for(weight).value());
}

}  // namespace

Analysis analyse(nn::Module& model, const Shape& shape, const QuantConfig& config, const Tensor& pictures) {
  const Plan plan = make_plan(model, shape, config);
  const std::vector<ValuePlace> places = value_places(model, plan);
  const bool training = model.is_training();
  model.eval();
  Pass floats, quantized;
  {
    const NoGrad no_grad;
    QuantizerSwitches switches(quantized_layers(model, "analysis"));
    SlotProbes probes;
    for (const ValuePlace& place : places) probes.add(*place.module, place.slot);
    switches.set(false);
    floats = run(model, probes, pictures);
    switches.set(true);
    quantized = run(model, probes, pictures);
  }
  Analysis all;
  for (const PlanNode& node : plan.nodes) {
    LayerAnalysis layer{node.name, engine::name_of(node.op), {}, {}, 0};
    if (node.layer != nullptr) layer.weight = weight_use(*node.layer);
    const auto place = std::find_if(places.begin(), places.end(), [&](const ValuePlace& p) { return p.value == &node; });
    if (place != places.end()) {
      const auto i = static_cast<std::size_t>(place - places.begin());
      layer.value = use_of_grid(quantized.values[i], node.type.grid);
      layer.error_db = sqnr_db(floats.values[i], quantized.values[i]);
    } else if (&node == &plan.nodes[static_cast<std::size_t>(plan.output)]) {
      layer.error_db = sqnr_db(floats.logits, quantized.logits);
    } else if (!layer.weight) {
      continue;  // hands codes on
    }
    all.layers.push_back(std::move(layer));
  }
  if (training) model.train();
  ConvertReport report;
  convert(model, shape, config, &report);
  all.warnings = warnings_of(model, plan, all.layers, report);
  return all;
}

}  // namespace octet::quant
