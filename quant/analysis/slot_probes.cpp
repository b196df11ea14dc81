#include "quant/analysis/slot_probes.h"

namespace octet::quant {

/// Stands in a slot for its transform.
class SlotProbes::Probe : public nn::Transform {
 public:
  Probe(nn::Module& owner, std::string slot) : owner_(owner), slot_(std::move(slot)), inner_(owner.slot(slot_)) {}
  std::string kind() const override { return inner_->kind(); }
  Variable apply(const Variable& src) override {
    went_in = src;
    return came_out = inner_->apply(src);
  }
  std::optional<QuantParams> params() const override { return inner_->params(); }
  void restore() { owner_.set_slot(slot_, inner_); }

  Variable went_in, came_out;

 private:
  nn::Module& owner_;
  std::string slot_;
  std::shared_ptr<nn::Transform> inner_;
};

SlotProbes::~SlotProbes() {
  for (const auto& probe : all_) probe->restore();
}

void SlotProbes::add(nn::Module& module, const std::string& slot) {
  all_.push_back(std::make_shared<Probe>(module, slot));
  module.set_slot(slot, all_.back());
}

const Variable& SlotProbes::went_in(std::size_t i) const { return all_[i]->went_in; }
const Variable& SlotProbes::came_out(std::size_t i) const { return all_[i]->came_out; }

}  // namespace octet::quant
