#include "quant/analysis/layer_codes.h"

#include "core/error.h"
#include "quant/analysis/slot_probes.h"

namespace octet::quant {
namespace {

/// Floats on a grid as its codes: fl(q·s) / s rounds to q.
Tensor codes_of(const Tensor& values, const PlanNode& node) {
  const QuantParams& grid = node.type.grid;
  Tensor codes({values.shape()[0], node.h, node.w, node.c}, grid.is_unsigned() ? DType::u8 : DType::s8);
  OCTET_CHECK(codes.numel() == values.numel(), "layer_codes", "'{}' is {} in the model, {} in its plan", node.name,
              values.shape().str(), codes.shape().str());
  auto* to = static_cast<char*>(codes.raw());
  for (float value : values.span<float>()) *to++ = static_cast<char>(grid.quantize(value));
  return codes;
}

}  // namespace

LayerCodes::LayerCodes(nn::Module& model, const Shape& shape, const QuantConfig& config)
    : model_(model), plan_(make_plan(model, shape, config)), places_(value_places(model, plan_)) {}

Tensor LayerCodes::run(const Tensor& pictures, NamedTensors& codes) const {
  const nn::EvaluationMode evaluation(model_);
  SlotProbes probes;
  for (const ValuePlace& place : places_) probes.add(*place.module, place.slot);
  NoGrad no_grad;
  const Tensor logits = model_(Variable(pictures)).value();
  codes.clear();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const PlanNode& value = *places_[i].value;
    OCTET_CHECK(probes.came_out(i).defined(), "layer_codes", "the model does not read '{}'", value.name);
    codes.emplace_back(value.name, codes_of(probes.came_out(i).value(), value));
  }
  return logits;
}

}  // namespace octet::quant
