// DoReFa: the closed form of a weight's codes, fixed grids of values, and what becomes of nets that have both.
#include "quant/quantizers/dorefa.h"

#include <gtest/gtest.h>

#include <cmath>

#include "executors.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "quant/calibration/ptq.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/training/code_history.h"
#include "random_net.h"
#include "tests/support/expect_error.h"

namespace octet::quant::test {
namespace {

QuantConfig dorefa() {
  QuantConfig config;
  config.weight_preprocess_type = Preprocess::dorefa;
  config.weight_quantize_type = WeightQuantize::abs_max;
  config.activation_quantize_type = ActivationQuantize::dorefa;
  config.weight_bits = config.activation_bits = 4;
  return config;
}

std::shared_ptr<nn::Linear> linear_with_large_weights() {
  auto fc = std::make_shared<nn::Linear>(8, 3);
  for (std::int64_t i = 0; i < 24; ++i) fc->weight.value().data<float>()[i] = 0.25f * static_cast<float>(i) - 2.5f;
  return fc;
}

TEST(DorefaWeight, CodesAreOfThePapersTanh) {
  auto fc = linear_with_large_weights();
  nn::Sequential net({fc});
  prepare(net, Shape{2, 8}, dorefa());
  net.train();
  net(Variable(Tensor::full({2, 8}, 0.5f)));
  const double top = 3.25;
  const FakeQuantizer& quantizer = *quantizer_in(*fc, "weight_transform");
  EXPECT_NEAR(quantizer.params()->scale.at(0), top / 7, 1e-6);
  const Tensor presented = nn::effective_weight_of(*fc).value();
  for (std::int64_t i = 0; i < 24; ++i) {
    const double in_unit = std::tanh(fc->weight.value().at(i)) / std::tanh(top);  // the paper's, of [−1, 1]
    EXPECT_EQ(quantizer.params()->quantize(presented.data<float>()[i]), std::lrint(7 * in_unit)) << i;
  }
}

TEST(DorefaWeight, GradientsPassTheTanh) {
  auto fc = linear_with_large_weights();
  nn::Sequential net({fc});
  QuantConfig config = dorefa();
  config.weight_bits = 8;
  prepare(net, Shape{1, 8}, config);
  net.train();
  net(Variable(Tensor::full({1, 8}, 1))).backward(Tensor::full({1, 3}, 2));
  for (std::int64_t i = 0; i < 24; ++i) {
    const double value = std::tanh(fc->weight.value().at(i));
    EXPECT_NEAR(fc->weight.grad().at(i), 2 * 3.25 / std::tanh(3.25) * (1 - value * value), 1e-5) << i;
  }
}

TEST(DorefaValues, EndAtOneWhateverTheyAre) {
  const RandomNet net{nn::mobilenet_v1({.scale = 0.25}), {4, 32, 32, 3}};
  prepare_and_show(net, dorefa(), 1);
  int grids = 0;
  for (const auto& [name, module] : net.model->named_modules()) {
    const auto* quantizer = dynamic_cast<const FixedQuantizer*>(module);
    if (quantizer == nullptr || quantizer->params()->hi != 15) continue;
    EXPECT_FLOAT_EQ(quantizer->params()->scale.at(0) * 15, 1) << name;
    ++grids;
  }
  EXPECT_EQ(grids, 28);
}

TEST(Dorefa, SimulatorAndEngineAgree) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    QuantConfig config = random_config(seed);
    config.weight_preprocess_type = Preprocess::dorefa;
    if (config.scheme == Scheme::paddle) config.scheme = Scheme::octet;
    SCOPED_TRACE(fmt::format("seed {} {}", seed, to_json(config)));
    const RandomNet net = random_net(seed);
    prepare_and_show(net, config, seed);
    const Tensor pictures = random_pictures(net.shape, seed + 1000000);
    EXPECT_EQ(executor_mismatches(*net.model, net.shape, config, pictures).total(), 0);
  }
}

TEST(Dorefa, HistoriesCountTheCodesBehindTheTanh) {
  auto fc = linear_with_large_weights();
  nn::Sequential net({fc});
  prepare(net, Shape{2, 8}, dorefa());
  std::vector<CodeHistory> histories = code_histories(net, 0.1, false);
  ASSERT_EQ(histories.size(), 1u);
  histories[0].step({});
  // 7·tanh(1)/tanh(3.25) = 5.35: at 1.1 it is 5.62, another code; without the tanh 2.15 and 2.37.
  ASSERT_EQ(fc->weight.value().at(14), 1);
  fc->weight.value().data<float>()[14] = 1.1f;
  histories[0].step({});
  EXPECT_EQ(histories[0].take_flips(), 1);
}

TEST(Dorefa, RemovingGivesTheFloatNetBack) {
  auto fc = linear_with_large_weights();
  nn::Sequential net({fc});
  prepare(net, Shape{2, 8}, dorefa());
  EXPECT_NE(fc->slot("weight_parametrization"), nullptr);
  remove_quantizers(net);
  EXPECT_EQ(fc->slot("weight_parametrization"), nullptr);
  EXPECT_EQ(nn::effective_weight_of(*fc).node(), fc->weight.node());
}

TEST(Dorefa, WhatCannotBe) {
  EXPECT_ERROR(parse_config(R"({"activation_preprocess_type": "DoReFa"})"), "it is about weights");
  EXPECT_ERROR(parse_config(R"({"weight_preprocess_type": "DoReFa", "oscillation_threshold": 0.1})"),
               "oscillation_threshold freezes");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "dorefa", "activation_affine": true})"),
               "a grid of its own");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "dorefa", "activation_preprocess_type": "PACT"})"),
               "use one of the two");
  EXPECT_ERROR(parse_config(R"({"weight_preprocess_type": "dorefa"})"), "known: None, PACT, DoReFa");
  QuantConfig config;
  config.weight_preprocess_type = Preprocess::dorefa;
  EXPECT_ERROR(require_calibratable(config), "weight_preprocess_type DoReFa wants training");
}

}  // namespace
}  // namespace octet::quant::test
