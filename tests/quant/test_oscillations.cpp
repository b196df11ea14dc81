// Oscillating weights: their frequencies as the paper counts them, and freezing.
#include <gtest/gtest.h>

#include <cmath>

#include "quant/deployment/convert.h"
#include "quant/prepare.h"
#include "quant/training/oscillation_freezing.h"
#include "quant/training/training_setup.h"
#include "quant/training/training_trace.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

constexpr double kMomentum = 0.1;

/// Algorithm 1 of Nagel et al. 2022 for one weight, in doubles, with codes given.
struct Reference {
  explicit Reference(int code) : code(code), average(code) {}
  void step(int q, double threshold) {
    if (frozen) return;
    const int delta = q - code, sign = (delta > 0) - (delta < 0);
    const bool oscillates = delta != 0 && last != 0 && sign != last;
    frequency = kMomentum * oscillates + (1 - kMomentum) * frequency;
    average = kMomentum * q + (1 - kMomentum) * average;
    if (delta != 0) last = sign;
    code = q;
    if (frequency > threshold) frozen = true, code = static_cast<int>(std::rint(average));
  }
  int code, last = 0;
  double frequency = 0, average;
  bool frozen = false;
};

/// A convolution 1x1 of 1 + 40 weights on 4 bits whose grid a weight at its end holds at steps of 1.
struct Layer {
  std::shared_ptr<nn::Sequential> net;
  nn::Conv2d* conv = nullptr;
  explicit Layer(QuantConfig config = {}) {
    auto layer = std::make_shared<nn::Conv2d>(nn::Conv2dOptions{41, 1, 1, 1, 1, 0, false, false});
    conv = layer.get();
    net = std::make_shared<nn::Sequential>(
        std::vector<std::shared_ptr<nn::Module>>{layer, std::make_shared<nn::Flatten>()});
    config.weight_bits = 4;
    prepare(*net, {1, 2, 2, 41}, config);
  }
  float& weight(std::size_t i) { return conv->weight.value().data<float>()[i]; }
};

TEST(OscillationFreezing, IsThePapersAlgorithm) {
  Layer layer;
  OscillationFreezing freezing(*layer.net, {0.5, 0.3, kMomentum});
  constexpr int kSteps = 120;
  freezing.begin_fit(kSteps);
  Random random(5, Purpose::test);
  std::vector<double> latent(41);
  std::vector<Reference> reference;
  for (int step = -1; step < kSteps; ++step) {
    // Some sit between two codes and jump, some wander.
    for (std::size_t i = 1; i <= 40; ++i) {
      const double centre = static_cast<double>(i % 12) - 6 + 0.5;
      latent[i] = i % 2 == 0 ? centre + (random.uniform() < 0.2 + 0.015 * static_cast<double>(i) ? 0.3 : -0.3)
                             : latent[i] + 0.2 * random.normal();
      latent[i] = std::clamp(latent[i], -7.0, 7.0);
      layer.weight(i) = static_cast<float>(latent[i]);
    }
    layer.weight(0) = 7;
    const auto code = [&](std::size_t i) { return static_cast<int>(std::rint(static_cast<float>(latent[i]))); };
    if (step < 0) {  // where the fit begins
      freezing.begin_step(0);
      freezing.after_update();
      for (std::size_t i = 0; i <= 40; ++i) reference.emplace_back(i == 0 ? 7 : code(i));
      continue;
    }
    freezing.begin_step(step);
    freezing.after_update();
    const double threshold = OscillationFreezing::threshold_at({0.5, 0.3, kMomentum}, step, kSteps);
    for (std::size_t i = 1; i <= 40; ++i) {
      reference[i].step(code(i), threshold);
      const float wanted = reference[i].frozen ? static_cast<float>(reference[i].code) : static_cast<float>(latent[i]);
      ASSERT_EQ(layer.weight(i), wanted) << "weight " << i << " in step " << step;
    }
  }
  const auto frozen = std::count_if(reference.begin(), reference.end(), [](const Reference& r) { return r.frozen; });
  EXPECT_GT(frozen, 5);
  EXPECT_LT(frozen, 35);
  EXPECT_DOUBLE_EQ(freezing.frozen("0"), static_cast<double>(frozen) / 41);
  EXPECT_DOUBLE_EQ(freezing.frozen(), freezing.frozen("0"));
  EXPECT_EQ(freezing.frozen("nobody"), 0);
}

TEST(OscillationFreezing, ThresholdFallsByACosine) {
  const FreezingOptions options{0.04, 0.01, kMomentum};
  EXPECT_DOUBLE_EQ(OscillationFreezing::threshold_at(options, 0, 100), 0.04);
  EXPECT_NEAR(OscillationFreezing::threshold_at(options, 50, 100), 0.025, 1e-12);
  EXPECT_NEAR(OscillationFreezing::threshold_at(options, 100, 100), 0.01, 1e-12);
  EXPECT_DOUBLE_EQ(OscillationFreezing::threshold_at({0.02, 0.02, kMomentum}, 77, 100), 0.02);
}

/// Frozen weights are codes: where the grid's step changes, so do they.
TEST(OscillationFreezing, FollowsTheStep) {
  Layer layer;
  OscillationFreezing freezing(*layer.net, {0.05, 0.05, kMomentum});
  freezing.begin_fit(10);
  freezing.begin_step(0);
  layer.weight(0) = 7;
  for (const float value : {2.6f, 2.4f, 2.6f, 2.6f, 2.6f}) layer.weight(1) = value, freezing.after_update();
  EXPECT_EQ(layer.weight(1), 3);
  layer.weight(0) = 3.5f;
  freezing.after_update();
  EXPECT_EQ(layer.weight(1), 1.5f);
}

/// The step follows from the largest weight. Where that one is frozen, what pushes at it must not widen the grid.
TEST(OscillationFreezing, AFrozenWeightAtTheEndHoldsTheStep) {
  Layer layer;
  OscillationFreezing freezing(*layer.net, {0.05, 0.05, kMomentum});
  freezing.begin_fit(20);
  layer.weight(0) = 7;
  std::int64_t step = 0;
  const auto update = [&](auto&& change) {
    freezing.begin_step(step++);
    change();
    freezing.after_update();
  };
  for (const float value : {6.6f, 6.4f, 6.6f, 6.6f, 6.6f})
    update([&] { layer.weight(1) = value, layer.weight(2) = 3; });
  ASSERT_EQ(layer.weight(1), 7) << "frozen at the last code";
  for (int i = 0; i < 5; ++i) {
    update([&] { layer.weight(0) = 5, layer.weight(1) += 0.1f; });
    EXPECT_EQ(layer.weight(1), 7) << i;
    EXPECT_EQ(layer.weight(2), 3);
  }
}

// 5 batches an epoch.
const data::Dataset& toy_set() {
  static const data::Dataset set = test::toy_pictures(80, 1);
  return set;
}

struct Stop {};
struct Watcher : optim::Callback {
  std::function<void(std::int64_t)> look = [](std::int64_t) {};
  std::int64_t stop_after = 0;
  void on_step(const optim::Progress& p) override {
    look(p.step);
    if (p.step == stop_after) throw Stop();
  }
};

struct Fitted {
  std::shared_ptr<nn::Module> net;
  double frozen = 0;
};

Fitted fit(const QuantConfig& config, optim::FitOptions options, Watcher* watcher = nullptr) {
  Fitted fitted{test::toy_net(), 0};
  prepare(*fitted.net, {1, 32, 32, 3}, config);
  optim::Trainer trainer(fitted.net);
  optim::Trainer::Settings settings{{0.05, 0.9, 1e-4, false}, optim::ScheduleKind::constant, 0};
  const TrainingSetup setup = training_setup(*fitted.net, config);
  setup.add_to(settings);
  trainer.prepare(settings);
  options.loader = {.batch_size = 16, .seed = 3};
  try {
    trainer.fit(toy_set(), options, watcher);
  } catch (const Stop&) {
  }
  if (setup.freezing != nullptr) fitted.frozen = setup.freezing->frozen();
  return fitted;
}

QuantConfig freezing_config() {
  QuantConfig config;
  config.weight_bits = 3, config.activation_bits = 4;
  config.oscillation_threshold = 0.05, config.oscillation_threshold_end = 0.02, config.oscillation_momentum = 0.1;
  return config;
}

std::vector<QuantConfig> configurations() {
  std::vector<QuantConfig> all(5, freezing_config());
  all[1].weight_quantize_type = WeightQuantize::channel_wise_lsq,
  all[1].activation_quantize_type = ActivationQuantize::lsq;
  all[2].scheme = Scheme::paddle;
  all[3].batch_norm = BatchNormMode::folded, all[3].weight_quantize_type = WeightQuantize::abs_max;
  all[4].weight_preprocess_type = Preprocess::pact, all[4].pact_decay = 0.01;
  return all;
}

/// Codes of all weights, as deployment would have them.
std::vector<int> codes_of(nn::Module& net) {
  std::vector<int> codes;
  const NoGrad no_grad;
  for (const auto& [path, module] : net.named_modules()) {
    const auto* quantizer = dynamic_cast<const FakeQuantizer*>(module->slot("weight_transform").get());
    if (quantizer == nullptr) continue;
    const Tensor weight = nn::effective_weight_of(*module).value();
    const QuantParams grid = quantizer->params_for(weight).value();
    const auto inner = static_cast<std::size_t>(weight.numel()) / grid.scale.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(weight.numel()); ++i)
      codes.push_back(grid.quantize(weight.data<float>()[i], i / inner));
  }
  return codes;
}

TEST(OscillationFreezing, MomentumMovesNoFrozenWeight) {
  for (const QuantConfig& config : configurations()) {
    SCOPED_TRACE(to_json(config));
    auto net = test::toy_net();
    prepare(*net, {1, 32, 32, 3}, config);
    OscillationFreezing* method = nullptr;
    optim::Trainer trainer(net);
    optim::Trainer::Settings settings{{0.05, 0.9, 1e-4, false}, optim::ScheduleKind::constant, 0};
    const TrainingSetup setup = training_setup(*net, config);
    setup.add_to(settings);
    method = setup.freezing.get();
    trainer.prepare(settings);
    std::vector<int> held;  // −99: free
    std::int64_t frozen = 0, checked = 0;
    Watcher watcher;
    watcher.look = [&](std::int64_t) {
      const std::vector<int> now = codes_of(*net);
      std::vector<bool> is_frozen;
      for (const auto& [name, tensor] : method->state())
        if (name.ends_with(".frozen"))
          for (const std::uint8_t one : tensor.span<std::uint8_t>()) is_frozen.push_back(one != 0);
      ASSERT_EQ(now.size(), is_frozen.size());
      held.resize(now.size(), -99);
      frozen = 0;
      for (std::size_t i = 0; i < now.size(); ++i) {
        if (held[i] != -99) {
          ASSERT_EQ(now[i], held[i]) << i << " has moved";
          ++checked;
        }
        if (is_frozen[i]) held[i] = now[i], ++frozen;
      }
    };
    optim::FitOptions options;
    options.epochs = 8, options.loader = {.batch_size = 16, .seed = 3};
    trainer.fit(toy_set(), options, &watcher);
    EXPECT_GT(frozen, 0);
    EXPECT_GT(checked, frozen);
    EXPECT_LT(frozen, static_cast<std::int64_t>(held.size()));
  }
}

TEST(OscillationFreezing, AResumedFitHasTheSameBits) {
  const test::TempFolder folder;
  int number = 0;
  for (const QuantConfig& config : configurations()) {
    SCOPED_TRACE(to_json(config));
    optim::FitOptions options;
    options.epochs = 4;
    const Fitted whole = fit(config, options);
    EXPECT_GT(whole.frozen, 0);
    for (const std::int64_t stop_after : {2, 9, 14}) {
      options.checkpoint_path = folder / std::to_string(++number), options.tag = "t", options.checkpoint_every = 1,
      options.resume = false;
      Watcher watcher;
      watcher.stop_after = stop_after;
      fit(config, options, &watcher);
      options.resume = true;
      const Fitted resumed = fit(config, options);
      EXPECT_EQ(test::state_crc(resumed.net->state()), test::state_crc(whole.net->state())) << stop_after;
      EXPECT_EQ(resumed.frozen, whole.frozen);
    }
  }
}

TEST(OscillationFreezing, TheTraceShowsHowMany) {
  auto net = test::toy_net();
  prepare(*net, {1, 32, 32, 3}, freezing_config());
  const TrainingSetup setup = training_setup(*net, freezing_config());
  TrainingTrace trace(*net, Tensor::zeros({1, 32, 32, 3}), setup.freezing.get());
  optim::Trainer trainer(net);
  optim::Trainer::Settings settings{{0.05, 0.9, 1e-4, false}, optim::ScheduleKind::constant, 0};
  setup.add_to(settings);
  trainer.prepare(settings);
  Watcher watcher;
  watcher.look = [&](std::int64_t) { trace.step(); };
  optim::FitOptions options;
  options.epochs = 5, options.loader = {.batch_size = 16, .seed = 3};
  trainer.fit(toy_set(), options, &watcher);
  double most = 0;
  for (const LayerTrace& layer : trace.look()) {
    EXPECT_EQ(layer.frozen, setup.freezing->frozen(layer.layer));
    most = std::max(most, layer.frozen);
  }
  EXPECT_GT(most, 0);
}

TEST(OscillationFreezing, NeedsQuantizedWeights) {
  EXPECT_ERROR(OscillationFreezing(*test::toy_net(), {}),
               "[oscillation] the model has no quantized weights ---> HINT prepare()");
}

}  // namespace
}  // namespace octet::quant
