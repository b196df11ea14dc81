#include "quant/layer_codes.h"

#include <algorithm>

#include "core/error.h"
#include "nn/transform.h"

namespace octet::quant {
namespace {

/// Stands in a slot for its transform and keeps what that returns.
class Probe : public nn::Transform {
 public:
  Probe(nn::Module& owner, std::string slot) : owner_(owner), slot_(std::move(slot)), inner_(owner.slot(slot_)) {}
  std::string kind() const override { return inner_->kind(); }
  Variable apply(const Variable& src) override { return seen_ = inner_->apply(src); }
  std::optional<QuantParams> params() const override { return inner_->params(); }
  void restore() { owner_.set_slot(slot_, inner_); }
  const Variable& seen() const { return seen_; }

 private:
  nn::Module& owner_;
  std::string slot_;
  std::shared_ptr<nn::Transform> inner_;
  Variable seen_;
};

/// Probes in their places while it lives.
class Probes {
 public:
  ~Probes() {
    for (const auto& probe : all_) probe->restore();
  }
  void add(nn::Module& module, const std::string& slot) {
    all_.push_back(std::make_shared<Probe>(module, slot));
    module.set_slot(slot, all_.back());
  }
  const Variable& seen(std::size_t i) const { return all_[i]->seen(); }

 private:
  std::vector<std::shared_ptr<Probe>> all_;
};

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
    : model_(model), plan_(make_plan(model, shape, config)) {
  const auto modules = model.named_modules();
  std::vector<const PlanNode*> known;
  for (const PlanNode& node : plan_.nodes) {
    const auto named =
        std::find_if(modules.begin(), modules.end(), [&](const auto& entry) { return entry.first == node.name; });
    nn::Module* module = node.layer != nullptr ? node.layer : named != modules.end() ? named->second : nullptr;
    if (module == nullptr) continue;
    for (std::size_t j = 0; j < node.inputs.size(); ++j) {
      const PlanNode& value = plan_.nodes[static_cast<std::size_t>(node.inputs[j])];
      const std::string slot = node.inputs.size() == 1 ? "input_transform" : j == 0 ? "lhs_transform" : "rhs_transform";
      const auto slots = module->slot_names();
      const bool quantizes =
          std::find(slots.begin(), slots.end(), slot) != slots.end() && module->slot(slot) != nullptr;
      if (!value.type.is_codes || !quantizes || std::find(known.begin(), known.end(), &value) != known.end()) continue;
      known.push_back(&value);
      places_.push_back({module, slot, &value});
    }
  }
}

Tensor LayerCodes::run(const Tensor& pictures, NamedTensors& codes) const {
  const bool training = model_.is_training();
  model_.eval();
  Probes probes;
  for (const Place& place : places_) probes.add(*place.module, place.slot);
  NoGrad no_grad;
  const Tensor logits = model_(Variable(pictures)).value();
  codes.clear();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const PlanNode& value = *places_[i].value;
    OCTET_CHECK(probes.seen(i).defined(), "layer_codes", "the model does not read '{}'", value.name);
    codes.emplace_back(value.name, codes_of(probes.seen(i).value(), value));
  }
  if (training) model_.train();
  return logits;
}

}  // namespace octet::quant
