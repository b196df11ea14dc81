#include "quant/analysis/run_both.h"

#include "core/error.h"
#include "quant/analysis/slot_probes.h"
#include "quant/analysis/value_places.h"
#include "quant/quantizers/quantizer_switches.h"

namespace octet::quant {
namespace {

Tensor run(nn::Module& model, const SlotProbes& probes, const Tensor& pictures, std::vector<Tensor>& values) {
  const Tensor logits = model(Variable(pictures)).value();
  for (std::size_t i = 0; i < probes.size(); ++i) {
    OCTET_CHECK(probes.went_in(i).defined(), "run_both", "slot {} was not reached", i);
    values.push_back(probes.went_in(i).value());
  }
  return logits;
}

}  // namespace

BothRuns run_both(nn::Module& model, const Plan& plan, const Tensor& pictures) {
  const std::vector<ValuePlace> places = value_places(model, plan);
  const nn::EvaluationMode evaluation(model);
  const NoGrad no_grad;
  QuantizerSwitches switches(quantized_layers(model, "run_both"));
  SlotProbes probes;
  for (const ValuePlace& place : places) probes.add(*place.module, place.slot);
  BothRuns both;
  std::vector<Tensor> floats, quantized;
  switches.set(false);
  both.float_logits = run(model, probes, pictures, floats);
  switches.set(true);
  both.logits = run(model, probes, pictures, quantized);
  for (std::size_t i = 0; i < places.size(); ++i) both.values.push_back({places[i].value, floats[i], quantized[i]});
  return both;
}

}  // namespace octet::quant
