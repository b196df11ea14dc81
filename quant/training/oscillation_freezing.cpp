#include "quant/training/oscillation_freezing.h"

#include <algorithm>

#include "optim/schedule.h"
#include "quant/training/weight_grids.h"

namespace octet::quant {

OscillationFreezing::OscillationFreezing(nn::Module& model, const FreezingOptions& options)
    : options_(options), threshold_({1}, DType::f32, model.device()) {
  require_weight_grids(model, "oscillation");
  histories_ = code_histories(model, options.momentum, true);
}

double OscillationFreezing::threshold_at(const FreezingOptions& options, std::int64_t step, std::int64_t steps) {
  const optim::Schedule falling{optim::ScheduleKind::cosine, options.threshold - options.threshold_end};
  return options.threshold_end + falling.at(step, steps);
}

// Frozen weights are put back behind the update, so that what it would have made of them for the next forward pass is
// not theirs.
void OscillationFreezing::begin_fit(std::int64_t steps) {
  steps_ = steps;
  read_parameters_.clear();
  for (CodeHistory& history : histories_) {
    read_parameters_.push_back(history.quantizer().reads_parameter());
    history.quantizer().set_reads_parameter(false);
  }
}

void OscillationFreezing::end_fit() {
  for (std::size_t i = 0; i < read_parameters_.size(); ++i)
    histories_[i].quantizer().set_reads_parameter(read_parameters_[i]);
  read_parameters_.clear();
}

void OscillationFreezing::begin_step(std::int64_t step) {
  for (CodeHistory& history : histories_) history.hold();  // here, before any method moves weights for a while
  const double threshold = threshold_at(options_, step, steps_);
  if (threshold == brought_) return;
  threshold_.copy_from(Tensor::full({1}, threshold));
  brought_ = threshold;
}

void OscillationFreezing::after_update() {
  for (CodeHistory& history : histories_) history.step(threshold_);
}

nn::Module::NamedTensors OscillationFreezing::state() const {
  nn::Module::NamedTensors all;
  for (const CodeHistory& history : histories_)
    for (const auto& [name, tensor] : history.state()) all.emplace_back("oscillation." + name, tensor);
  return all;
}

double OscillationFreezing::frozen(const std::string& layer) const {
  for (const CodeHistory& history : histories_)
    if (history.layer() == layer) return static_cast<double>(history.frozen()) / static_cast<double>(history.count());
  return 0;
}

double OscillationFreezing::frozen() const {
  double frozen = 0, all = 0;
  for (const CodeHistory& history : histories_)
    frozen += static_cast<double>(history.frozen()), all += static_cast<double>(history.count());
  return frozen / all;
}

}  // namespace octet::quant
