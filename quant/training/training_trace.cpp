#include "quant/training/training_trace.h"

#include <cmath>

#include "core/diverged.h"
#include "nn/layers.h"
#include "quant/analysis/grid_use.h"
#include "quant/analysis/slot_probes.h"

namespace octet::quant {
namespace {

constexpr float kOscillates = 0.005f;
constexpr double kMomentum = 0.01;

}  // namespace

TrainingTrace::TrainingTrace(nn::Module& model, Tensor pictures, const OscillationFreezing* freezing)
    : model_(model),
      pictures_(std::move(pictures)),
      freezing_(freezing),
      histories_(code_histories(model, kMomentum, false)) {
  OCTET_CHECK(!histories_.empty(), "trace", "the model has no quantized weights ---> HINT prepare() it first");
}

void TrainingTrace::begin() {
  for (CodeHistory& history : histories_) history.step();
}

void TrainingTrace::step() {
  ++steps_;
  for (CodeHistory& history : histories_) history.step();
}

/// What the weight alone tells.
LayerTrace TrainingTrace::look_at(CodeHistory& history) const {
  LayerTrace layer;
  layer.layer = history.layer();
  const Tensor values = nn::effective_weight_of(history.module()).value().to(Device::cpu);
  if (const auto grid = history.quantizer().params_for(values)) {
    for (std::size_t c = 0; c < grid->scale.size(); ++c)
      layer.weight_step += static_cast<double>(grid->step(c)) / static_cast<double>(grid->scale.size());
    layer.weight_clipped = use_of_grid(values, *grid).clipped;
  }
  const auto count = static_cast<double>(history.count());
  const auto flips = static_cast<double>(history.take_flips());
  layer.flips = steps_ > 0 ? flips / count / static_cast<double>(steps_) : 0;
  layer.oscillating = static_cast<double>(history.oscillating(kOscillates)) / count;
  if (freezing_ != nullptr) layer.frozen = freezing_->frozen(history.layer());
  return layer;
}

std::vector<LayerTrace> TrainingTrace::look() {
  const nn::EvaluationMode evaluation(model_);
  std::vector<LayerTrace> layers;
  const NoGrad no_grad;
  SlotProbes probes;
  std::vector<bool> probed;  // a probe stands where the quantizer did
  for (const CodeHistory& history : histories_)
    if (probed.push_back(quantizer_in(history.module(), "input_transform") != nullptr); probed.back())
      probes.add(history.module(), "input_transform");
  model_(Variable(pictures_.to(model_.device())));
  std::size_t probe = 0;
  for (std::size_t i = 0; i < histories_.size(); ++i) {
    CodeHistory& history = histories_[i];
    LayerTrace layer = look_at(history);
    if (probed[i]) {
      const auto grid = history.module().slot("input_transform")->params();
      const Variable& seen = probes.went_in(probe++);
      if (grid && seen.defined()) {
        const Tensor values = seen.value().to(Device::cpu);
        for (const float x : values.span<float>())
          if (!std::isfinite(x)) diverged("trace", fmt::format("what enters {} is {}", layer.layer, x));
        layer.value_step = static_cast<double>(grid->step());
        layer.value_clipped = use_of_grid(values, *grid).clipped;
      }
    }
    layers.push_back(std::move(layer));
  }
  steps_ = 0;
  return layers;
}

}  // namespace octet::quant
