// AdaRound against exhaustive search, and in whole nets.
#include "quant/calibration/adaround.h"

#include <gtest/gtest.h>

#include <cmath>

#include "executors.h"
#include "nn/models.h"
#include "quant/calibration/ptq.h"
#include "quant/deployment/convert.h"
#include "quant/prepare.h"
#include "quant/qat.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using octet::test::random_f32;
const Shape kShape{1, 32, 32, 3};

const data::Dataset& pictures() {
  static const data::Split split = data::load("synthetic", {64, 8});
  return split.train;
}

/// A linear layer whose inputs have something in common, so that the nearest codes are not the best.
RoundingProblem problem_of(std::uint64_t seed, const nn::Linear& layer, std::int64_t in, std::int64_t out, int bits,
                           ops::Activation act = ops::Activation::relu) {
  RoundingProblem p;
  p.layer = &layer;
  p.weight = random_f32({out, in}, seed);
  p.src = random_f32({96, in}, seed + 1);
  const Tensor common = random_f32({96}, seed + 2, 0, 1);
  for (std::int64_t i = 0; i < p.src.numel(); ++i) p.src.data<float>()[i] += common.data<float>()[i / in];
  p.grid.lo = -(1 << (bits - 1)) + 1, p.grid.hi = -p.grid.lo;
  p.grid.scale = {1.0f / static_cast<float>(p.grid.hi)};
  p.affine = Tensor::zeros({2, out});
  p.affine.slice(0, 1).fill(1);
  p.act = act;
  const NoGrad no_grad;
  p.dst = ops::affine_act(ops::linear(Variable(p.src), Variable(p.weight), {}), Variable(p.affine), p.act).value();
  return p;
}

/// The least error of all roundings up and down.
double best_of_all(const RoundingProblem& p) {
  const std::int64_t count = p.weight.numel();
  double best = INFINITY;
  for (std::int64_t which = 0; which < (1 << count); ++which) {
    Tensor weight(p.weight.shape());
    for (std::int64_t i = 0; i < count; ++i) {
      const float low = std::floor(p.weight.data<float>()[i] / p.grid.step());
      const std::int32_t code = static_cast<std::int32_t>(low) + static_cast<std::int32_t>(which >> i & 1);
      weight.data<float>()[i] = p.grid.dequantize(std::clamp(code, p.grid.lo, p.grid.hi));
    }
    best = std::min(best, rounding_error(p, weight));
  }
  return best;
}

TEST(Adaround, FindsTheBestRoundingOrNearlySo) {
  for (const ops::Activation act : {ops::Activation::none, ops::Activation::relu}) {
    double nearest = 0, learned = 0, best = 0;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const nn::Linear layer(9, 1, false);
      const RoundingProblem p = problem_of(10 * seed, layer, 9, 1, 3, act);
      const LearnedRounding found = learn_rounding(p, {});
      EXPECT_EQ(found.learned, rounding_error(p, found.weight));
      EXPECT_LE(found.learned, found.nearest);
      nearest += found.nearest, learned += found.learned, best += best_of_all(p);
    }
    EXPECT_LE(learned - best, 0.25 * (nearest - best)) << nearest << ' ' << learned << ' ' << best;
    EXPECT_GT(nearest, 1.2 * best) << "the nearest codes are not the best here";
  }
}

TEST(Adaround, KeepsFixedWeightsAndTheGrid) {
  const nn::Linear layer(6, 5, false);
  RoundingProblem p = problem_of(3, layer, 6, 5, 4);
  p.grid.scale = {0.1f, 0.12f, 0.14f, 0.09f, 0.15f}, p.grid.axis = 0;
  p.fixed.assign(30, false);
  p.fixed[7] = true;
  const LearnedRounding found = learn_rounding(p, {.steps = 400});
  std::int64_t changed = 0;
  for (std::int64_t i = 0; i < 30; ++i) {
    const auto c = static_cast<std::size_t>(i / 6);
    const float w = p.weight.data<float>()[i], now = found.weight.data<float>()[i];
    if (i == 7) {
      EXPECT_EQ(now, w);
      continue;
    }
    EXPECT_EQ(now, p.grid.dequantize(p.grid.quantize(now, c), c));
    const float v = std::clamp(w / p.grid.step(c), -7.0f, 7.0f);
    EXPECT_LT(std::fabs(now / p.grid.step(c) - v), 1.0001f) << "up or down, no further";
    changed += p.grid.quantize(now, c) != p.grid.quantize(w, c);
  }
  EXPECT_EQ(found.changed, changed);
  EXPECT_GT(changed, 0);
  EXPECT_LE(found.learned, found.nearest);
}

TEST(Adaround, NeverWorseThanTheNearestCodes) {
  const nn::Linear layer(8, 2, false);
  const RoundingProblem p = problem_of(5, layer, 8, 2, 3);
  // A rate that throws every weight about.
  const LearnedRounding found = learn_rounding(p, {.steps = 3, .travel = 150});
  EXPECT_LE(found.learned, found.nearest);
}

TEST(Adaround, IsAFunctionOfItsOptions) {
  const nn::Linear layer(8, 2, false);
  const RoundingProblem p = problem_of(5, layer, 8, 2, 3);
  const auto weight = [&](const RoundingOptions& options) { return learn_rounding(p, options).weight; };
  EXPECT_TRUE(octet::test::same_bits(weight({.steps = 50, .batch_size = 8}), weight({.steps = 50, .batch_size = 8})));
  EXPECT_ERROR(weight({.steps = 0}), "0 steps");
}

TEST(Adaround, WholeNetsKeepTheirStepsAndTheContract) {
  const Tensor x = random_f32({3, 32, 32, 3}, 8);
  std::vector<QuantConfig> configs(6);
  configs[1].scheme = Scheme::paddle, configs[2].batch_norm = BatchNormMode::folded;
  configs[4].weight_power_of_two = true;
  configs[5] = configs[2],
  configs[5].weight_quantize_type = WeightQuantize::abs_max;  // with a channel that is off, below
  configs[3].equalize = Equalize::cross_layer, configs[3].weight_quantize_type = WeightQuantize::abs_max;
  for (QuantConfig& config : configs) {
    SCOPED_TRACE(to_json(config));
    const auto net = nn::small_resnet({.width = 4});
    {
      const NoGrad no_grad;
      for (int i = 0; i < 4; ++i) (*net)(Variable(x));
    }
    if (&config == &configs[5])
      for (const auto& [name, parameter] : net->named_parameters())
        if (name == "features.1.first.bn.gamma") Tensor(parameter.value()).data<float>()[0] = 0;
    config.weight_bits = 3;
    prepare(*net, kShape, config);
    calibrate(*net, pictures(), {.pictures = 16});
    const engine::Graph nearest = convert(*net, kShape, config);
    std::int64_t told = 0;
    const auto layers =
        adaround(*net, kShape, pictures(), {.pictures = 16}, {.steps = 12, .batch_size = 8, .travel = 0.6},
                 [&](std::int64_t done, std::int64_t total) {
                   EXPECT_EQ(done, ++told);
                   EXPECT_EQ(total, 120);
                 });
    EXPECT_EQ(told, 120);
    ASSERT_EQ(layers.size(), 10u);
    std::int64_t changed = 0;
    for (const RoundedLayer& layer : layers) {
      EXPECT_LE(layer.learned, layer.nearest) << layer.layer;
      changed += layer.changed;
    }
    EXPECT_GT(changed, 0);
    EXPECT_EQ(test::executor_mismatches(*net, kShape, config, x).total(), 0);
    const engine::Graph graph = convert(*net, kShape, config);
    auto layer = layers.begin();
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const Tensor &before = nearest.nodes[n].weight, &after = graph.nodes[n].weight;
      if (!after.defined()) continue;
      EXPECT_EQ(nearest.nodes[n].weight_step, graph.nodes[n].weight_step);
      EXPECT_EQ(layer->layer, graph.nodes[n].name);
      std::int64_t apart = 0;
      for (std::int64_t i = 0; i < before.numel(); ++i) {
        const int moved = std::abs(before.data<std::int8_t>()[i] - after.data<std::int8_t>()[i]);
        EXPECT_LE(moved, 1);
        apart += moved;
      }
      EXPECT_EQ(apart, (layer++)->changed);
    }
  }
}

Tensor evaluated(nn::Module& net, const Tensor& x) {
  const NoGrad no_grad;
  return net(Variable(x)).value();
}

TEST(Adaround, BringsTheQuantizedNetNearerToTheFloatNet) {
  const auto apart = [&](int steps) {
    const auto net = nn::small_resnet({.width = 8});
    const Tensor x = random_f32({16, 32, 32, 3}, 8);
    for (int i = 0; i < 4; ++i) evaluated(*net, x);
    net->eval();
    const Tensor floats = evaluated(*net, x);
    QuantConfig config;
    config.weight_bits = 3, config.adaround_steps = steps;
    std::vector<std::string> stages;
    ptq(*net, kShape, config, pictures(), {.pictures = 32}, [&](const std::string& stage, std::int64_t, std::int64_t) {
      if (stages.empty() || stages.back() != stage) stages.push_back(stage);
    });
    EXPECT_EQ(stages.size(), steps > 0 ? 2u : 1u);
    const Tensor now = evaluated(*net, x);
    double sum = 0;
    for (std::int64_t i = 0; i < now.numel(); ++i) sum += std::pow(now.at(i) - floats.at(i), 2);
    return sum;
  };
  EXPECT_LT(apart(60), 0.7 * apart(0));
}

TEST(Adaround, WhatCannotBe) {
  QuantConfig config;
  config.adaround_steps = 10;
  EXPECT_ERROR(Qat{config}, "adaround_steps 10 is for nets that are not fine-tuned ---> HINT");
  config.weight_quantize_type = WeightQuantize::channel_wise_mse;
  EXPECT_ERROR(config.check(), "adaround_steps moves weights");
  config.adaround_steps = -1;
  EXPECT_ERROR(config.check(), "adaround_steps is -1");
  // The same below the configuration.
  const auto net = nn::small_resnet({.width = 4});
  config = {};
  config.weight_bits = 3, config.weight_quantize_type = WeightQuantize::mse;
  prepare(*net, kShape, config);
  calibrate(*net, pictures(), {.pictures = 16});
  EXPECT_ERROR(adaround(*net, kShape, pictures(), {.pictures = 16}, {.steps = 40, .travel = 4}),
               "do not follow from its largest weights alone ---> HINT");
  EXPECT_ERROR(adaround(*nn::small_resnet({.width = 4}), kShape, pictures(), {.pictures = 16}, {.steps = 5}),
               "no quantizers");
}

}  // namespace
}  // namespace octet::quant
