#include "quant/training_trace.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "nn/layers.h"
#include "quant/fake_quantizer.h"
#include "quant/grid_use.h"
#include "quant/slot_probes.h"

namespace octet::quant {
namespace {

constexpr float kMomentum = 0.01f, kOscillates = 0.005f;
constexpr std::int64_t kRun = 1 << 14;

Tensor host_weight_of(const nn::Module& layer) {
  const NoGrad no_grad;
  return nn::folded_weight_of(layer).value().to(Device::cpu);
}

FakeQuantizer* quantizer_in(const nn::Module& module, const char* slot) {
  return dynamic_cast<FakeQuantizer*>(module.slot(slot).get());
}

}  // namespace

TrainingTrace::TrainingTrace(nn::Module& model, Tensor pictures) : model_(model), pictures_(std::move(pictures)) {
  for (const auto& [path, module] : model.named_modules()) {
    if (quantizer_in(*module, "weight_transform") == nullptr) continue;
    Weight weight{path, module, {}, {}, {}, 0};
    const auto count = static_cast<std::size_t>(host_weight_of(*module).numel());
    weight.direction.resize(count), weight.frequency.resize(count);
    weights_.push_back(std::move(weight));
  }
  OCTET_CHECK(!weights_.empty(), "trace", "the model has no quantized weights ---> HINT prepare() it first");
}

void TrainingTrace::step() {
  ++steps_;
  for (Weight& weight : weights_) {
    const Tensor values = host_weight_of(*weight.module);
    const auto grid = quantizer_in(*weight.module, "weight_transform")->params_for(values);
    if (!grid) continue;
    const bool first = weight.codes.empty();
    weight.codes.resize(static_cast<std::size_t>(values.numel()));
    const std::int64_t inner = values.numel() / static_cast<std::int64_t>(grid->scale.size());
    std::vector<std::int64_t> flips(static_cast<std::size_t>((values.numel() + kRun - 1) / kRun));
    parallel_for(static_cast<std::int64_t>(flips.size()), [&](std::int64_t run) {
      for (std::int64_t i = run * kRun; i < std::min(values.numel(), (run + 1) * kRun); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto code =
            static_cast<std::int8_t>(grid->quantize(values.data<float>()[i], static_cast<std::size_t>(i / inner)));
        const int change = first ? 0 : code - weight.codes[at];
        const auto direction = static_cast<std::int8_t>((change > 0) - (change < 0));
        const bool oscillated = direction != 0 && weight.direction[at] == -direction;
        weight.frequency[at] += kMomentum * (static_cast<float>(oscillated) - weight.frequency[at]);
        if (direction != 0) weight.direction[at] = direction;
        flips[static_cast<std::size_t>(run)] += direction != 0;
        weight.codes[at] = code;
      }
    });
    for (const std::int64_t count : flips) weight.flips += count;
  }
}

std::vector<LayerTrace> TrainingTrace::look() {
  const nn::EvaluationMode evaluation(model_);
  std::vector<LayerTrace> layers;
  const NoGrad no_grad;
  SlotProbes probes;
  for (const Weight& weight : weights_)
    if (quantizer_in(*weight.module, "input_transform") != nullptr) probes.add(*weight.module, "input_transform");
  model_(Variable(pictures_.to(model_.device())));
  std::size_t probe = 0;
  for (Weight& weight : weights_) {
    const Tensor values = host_weight_of(*weight.module);
    const auto count = static_cast<double>(values.numel());
    LayerTrace layer{weight.layer, 0, 0, 0, 0, {}, {}};
    if (const auto grid = quantizer_in(*weight.module, "weight_transform")->params_for(values)) {
      for (std::size_t c = 0; c < grid->scale.size(); ++c)
        layer.weight_step += static_cast<double>(grid->step(c)) / static_cast<double>(grid->scale.size());
      layer.weight_clipped = use_of_grid(values, *grid).clipped;
    }
    layer.flips = steps_ > 0 ? static_cast<double>(weight.flips) / count / static_cast<double>(steps_) : 0;
    layer.oscillating = static_cast<double>(std::count_if(weight.frequency.begin(), weight.frequency.end(),
                                                          [](float f) { return f > kOscillates; })) /
                        count;
    weight.flips = 0;
    const auto input = weight.module->slot("input_transform");
    if (input != nullptr) {
      const auto grid = input->params();
      const Variable& seen = probes.went_in(probe++);
      if (grid && seen.defined()) {
        layer.value_step = static_cast<double>(grid->step());
        layer.value_clipped = use_of_grid(seen.value().to(Device::cpu), *grid).clipped;
      }
    }
    layers.push_back(std::move(layer));
  }
  steps_ = 0;
  return layers;
}

}  // namespace octet::quant
