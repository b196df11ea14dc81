#include "quant/analysis/analysis.h"

#include <algorithm>

#include "quant/analysis/run_both.h"
#include "quant/analysis/warnings.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {
namespace {

GridUse weight_use(const nn::Module& layer) {
  const NoGrad no_grad;
  const Tensor weight = nn::effective_weight_of(layer).value();
  return use_of_grid(weight, quantizer_in(layer, "weight_transform")->params_for(weight).value());
}

}  // namespace

Analysis analyse(nn::Module& model, const Shape& shape, const QuantConfig& config, const Tensor& pictures) {
  const Plan plan = make_plan(model, shape, config);
  const BothRuns both = run_both(model, plan, pictures);
  ConvertReport report;
  const std::vector<AccumulatorUse> accumulators = accumulator_use(convert(model, shape, config, &report), pictures);
  Analysis all;
  all.sixteen_bits = sixteen_bits(accumulators);
  for (const PlanNode& node : plan.nodes) {
    LayerAnalysis layer{node.name, engine::name_of(node.op), {}, {}, {}, 0};
    for (const AccumulatorUse& use : accumulators)
      if (use.layer == node.name) layer.accumulator = use;
    if (node.layer != nullptr) layer.weight = weight_use(*node.layer);
    const auto value =
        std::find_if(both.values.begin(), both.values.end(), [&](const ValuePair& v) { return v.node == &node; });
    if (value != both.values.end()) {
      layer.value = use_of_grid(value->quantized, node.type.grid);
      layer.error_db = sqnr_db(value->floats, value->quantized);
    } else if (&node == &plan.nodes[static_cast<std::size_t>(plan.output)]) {
      layer.error_db = sqnr_db(both.float_logits, both.logits);
    } else if (!layer.weight) {
      continue;  // hands codes on
    }
    all.layers.push_back(std::move(layer));
  }
  all.warnings = warnings_of(model, plan, all.layers, report);
  return all;
}

}  // namespace octet::quant
