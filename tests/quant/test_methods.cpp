// PACT and LSQ learn: thresholds are parameters, gradients reach them, and nothing collapses.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/random.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "quant/prepare.h"
#include "quant/quantizers/learned_step.h"
#include "quant/quantizers/pact.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

Tensor normal(const Shape& shape, double sigma, std::uint64_t seed) {
  Tensor t(shape);
  Random random(seed, Purpose::test);
  for (float& x : t.span<float>()) x = static_cast<float>(sigma * random.normal());
  return t;
}

Variable parameter(nn::Module& module, const std::string& wanted) {
  for (const auto& [name, variable] : module.named_parameters())
    if (name == wanted) return variable;
  fail("test", "no parameter " + wanted);
}

/// Mean square of a − b, and its gradient to a.
double mean_square(const Tensor& a, const Tensor& b, Tensor& gradient) {
  double sum = 0;
  gradient = Tensor(a.shape());
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double d = a.at(i) - b.at(i);
    sum += d * d;
    gradient.data<float>()[i] = static_cast<float>(2 * d / static_cast<double>(a.numel()));
  }
  return sum / static_cast<double>(a.numel());
}

/// Plain gradient descent of a quantized linear layer towards a float one; returns the loss of every step.
std::vector<double> fit(nn::Module& net, const Tensor& x, const Tensor& wanted, int steps, double rate) {
  std::vector<double> losses;
  net.train();
  for (int step = 0; step < steps; ++step) {
    net.zero_grad();
    const Variable y = net(Variable(x));
    Tensor gradient;
    losses.push_back(mean_square(y.value(), wanted, gradient));
    y.backward(gradient);
    for (Variable& p : net.parameters())
      for (std::int64_t i = 0; p.grad().defined() && i < p.value().numel(); ++i)
        p.value().data<float>()[i] -= static_cast<float>(rate * p.grad().at(i));
  }
  return losses;
}

struct Problem {
  std::shared_ptr<nn::Sequential> net;
  Tensor x, wanted;
};
Problem linear_problem(const QuantConfig& config) {
  auto fc = std::make_shared<nn::Linear>(24, 8);
  fc->weight.value().copy_from(normal({8, 24}, 0.3, 1));
  Problem problem;
  problem.net = std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Module>>{nn::relu(), fc});
  problem.x = normal({64, 24}, 1, 2);
  problem.wanted = (*problem.net)(Variable(normal({64, 24}, 1, 2))).value().clone();
  prepare(*problem.net, {1, 24}, config);
  return problem;
}

TEST(Pact, ThresholdStartsAtTheFirstTensorAndClips) {
  EXPECT_ERROR(Pact().threshold(), "not known before the first tensor");
  Pact pact;
  EXPECT_ERROR(pact.apply(Variable(normal({4}, 1, 1))), "start()");
  pact.start(2);
  pact.start(5);
  EXPECT_EQ(pact.threshold(), 2);
  const Variable x(Tensor::from<float>({4}, std::vector<float>{1, 3, -5, -1}), true);
  const Variable y = pact.apply(x);
  EXPECT_EQ(y.value().at(1), 2);
  EXPECT_EQ(y.value().at(2), -2);
  y.backward(Tensor::from<float>({4}, std::vector<float>{1, 10, 100, 1000}));
  EXPECT_EQ(parameter(pact, "alpha").grad().at(0), 10 - 100);
  EXPECT_EQ(x.grad().at(1), 0);
}

TEST(Pact, ThresholdsAreTrained) {
  for (Scheme scheme : {Scheme::octet, Scheme::paddle}) {
    QuantConfig config;
    config.scheme = scheme;
    config.activation_preprocess_type = Preprocess::pact;
    config.weight_preprocess_type = Preprocess::pact;
    config.activation_bits = 3;
    Problem problem = linear_problem(config);
    fit(*problem.net, problem.x, problem.wanted, 1, 0);
    Variable alpha = parameter(*problem.net, "1.input_transform.pact.alpha");
    // Too low a threshold costs accuracy, so that its gradient raises it.
    alpha.value().fill(0.4);
    Variable weight_alpha = parameter(*problem.net, "1.weight_transform.pact.alpha");
    const float half = weight_alpha.value().at(0) / 2;
    weight_alpha.value().fill(half);
    const auto losses = fit(*problem.net, problem.x, problem.wanted, 60, 0.2);
    EXPECT_GT(alpha.value().at(0), 0.8) << name_of(scheme);
    EXPECT_LT(losses.back(), losses.front() / 4) << name_of(scheme);
    EXPECT_GT(std::fabs(weight_alpha.value().at(0) - half), 0.1 * half) << name_of(scheme);
  }
}

TEST(Pact, ThresholdBoundsTheGrid) {
  QuantConfig config;
  config.activation_preprocess_type = Preprocess::pact;
  Problem problem = linear_problem(config);
  fit(*problem.net, problem.x, problem.wanted, 3, 0);
  auto quantizer = problem.net->children()[1].second->slot("input_transform");
  parameter(*problem.net, "1.input_transform.pact.alpha").value().fill(0.51);
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 0.51f / 255);
}

TEST(Lsq, StartsWhereThePaperDoes) {
  Grid grid;
  grid.bits = 8, grid.narrow = true;
  auto quantizer = LearnedStepQuantizer::for_weight(grid, 2);
  const Tensor w = Tensor::from<float>({2, 3}, std::vector<float>{1, -2, 3, 0.5f, 0.5f, -0.5f});
  EXPECT_FLOAT_EQ(quantizer->params_for(w)->scale[0], 2 * 2 / std::sqrt(127.0f));
  EXPECT_FALSE(quantizer->params().has_value());
  quantizer->apply(Variable(w, true));
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 2 * 2 / std::sqrt(127.0f));
  EXPECT_FLOAT_EQ(quantizer->params()->scale[1], 2 * 0.5 / std::sqrt(127.0f));
}

TEST(Lsq, GradientIsScaledByTheElementsItServes) {
  Grid grid;
  grid.bits = 4, grid.is_unsigned = true;
  auto quantizer = LearnedStepQuantizer::for_activation(grid);
  const Tensor x = Tensor::full({3, 5}, 1000);  // far outside: the slope to the step is hi
  quantizer->apply(Variable(Tensor::full({3, 5}, 1), true));
  quantizer->apply(Variable(x, true)).backward(Tensor::full({3, 5}, 1));
  EXPECT_FLOAT_EQ(static_cast<float>(parameter(*quantizer, "step").grad().at(0)),
                  static_cast<float>(15 * 15 / std::sqrt(5.0 * 15)));
}

TEST(Lsq, RashUpdatesDoNotCollapseTheGrid) {
  Grid grid;
  auto quantizer = LearnedStepQuantizer::for_activation(grid);
  quantizer->apply(Variable(Tensor::full({1, 4}, 1)));
  const float start = quantizer->params()->scale[0];
  parameter(*quantizer, "step").value().fill(-3);
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], start / 64);
  quantizer->apply(Variable(Tensor::full({1, 4}, 1)));
  EXPECT_FLOAT_EQ(static_cast<float>(parameter(*quantizer, "step").value().at(0)), start / 64);
}

/// Distinct codes of a layer's weights.
std::size_t levels_of(nn::Linear& fc) {
  const auto grid =
      std::dynamic_pointer_cast<FakeQuantizer>(fc.slot("weight_transform"))->params_for(fc.weight.value());
  std::set<int> levels;
  const std::int64_t inner = fc.weight.shape()[1];
  for (std::int64_t i = 0; i < fc.weight.value().numel(); ++i)
    levels.insert(grid->quantize(fc.weight.value().data<float>()[i], static_cast<std::size_t>(i / inner)));
  return levels.size();
}

TEST(Lsq, KeepsItsLevelsWhileItLearns) {
  QuantConfig config;
  config.weight_quantize_type = WeightQuantize::channel_wise_lsq;
  config.activation_quantize_type = ActivationQuantize::lsq;
  config.weight_bits = 6;
  Problem problem = linear_problem(config);
  auto& fc = dynamic_cast<nn::Linear&>(*problem.net->children()[1].second);
  const std::size_t before = levels_of(fc);
  fit(*problem.net, problem.x, problem.wanted, 80, 0.1);
  EXPECT_GE(levels_of(fc), before * 3 / 4);
}

TEST(Lsq, FindsTheStepOfLeastError) {
  // 15 uniform levels for a normal distribution: between Max's optima (1960) for 14 and 16 levels, 0.3739 and 0.3352.
  Grid grid;
  grid.bits = 4, grid.narrow = true;
  auto quantizer = LearnedStepQuantizer::for_weight(grid, 1);
  const Variable w(normal({1, 4096}, 1, 4), true);
  Variable step = parameter(*quantizer, "step");
  for (int i = 0; i < 300; ++i) {
    step.zero_grad();
    const Variable y = quantizer->apply(w);
    Tensor gradient(w.shape());
    for (std::int64_t j = 0; j < gradient.numel(); ++j)
      gradient.data<float>()[j] = static_cast<float>(2 * (y.value().at(j) - w.value().at(j)));
    y.backward(gradient);
    step.value().data<float>()[0] -= static_cast<float>(0.005 * step.grad().at(0));
  }
  EXPECT_NEAR(step.value().at(0), 0.353, 0.02);
}

}  // namespace
}  // namespace octet::quant
