// Steps that are powers of two: every one of a net, zero points, what becomes of requantization.
#include <gtest/gtest.h>

#include <cmath>

#include "executors.h"
#include "kernels/fake_quant/fake_quant.h"
#include "nn/models.h"
#include "quant/deployment/convert.h"
#include "quant/engine/engine.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "random_net.h"
#include "tests/support/expect_error.h"

namespace octet::quant::test {
namespace {

bool is_power_of_two(float x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5f;
}

TEST(PowerOfTwo, RoundsUp) {
  EXPECT_EQ(kernels::power_of_two_above(1), 1);
  EXPECT_EQ(kernels::power_of_two_above(1.0000001f), 2);
  EXPECT_EQ(kernels::power_of_two_above(0.3f), 0.5f);
  EXPECT_EQ(kernels::power_of_two_above(0x1p-64f), 0x1p-64f);
  EXPECT_TRUE(std::isinf(kernels::power_of_two_above(INFINITY)));
  EXPECT_TRUE(std::isnan(kernels::power_of_two_above(NAN)));
}

TEST(PowerOfTwo, GridsClipNothingThatTheirRangeHolds) {
  for (const bool affine : {false, true}) {
    Grid grid;
    grid.affine = affine, grid.power_of_two = true;
    const QuantParams params = grid.over({-1, 3});
    EXPECT_TRUE(is_power_of_two(params.scale[0]));
    EXPECT_LT(std::fabs(params.dequantize(params.quantize(3)) - 3), params.scale[0]);
    EXPECT_LT(std::fabs(params.dequantize(params.quantize(-1)) + 1), params.scale[0]);
    grid.power_of_two = false;
    EXPECT_LT(grid.over({-1, 3}).scale[0], params.scale[0]);
    EXPECT_GT(2 * grid.over({-1, 3}).scale[0], params.scale[0]);
  }
}

QuantConfig config_of(std::uint64_t seed) {
  QuantConfig config = random_config(seed);
  if (config.scheme == Scheme::paddle) config.scheme = Scheme::octet;
  config.activation_power_of_two = !is_learned(config.activation_quantize_type);
  config.weight_power_of_two = !is_learned(config.weight_quantize_type);
  for (Preprocess* type : {&config.activation_preprocess_type, &config.weight_preprocess_type})
    if (*type == Preprocess::pact) *type = Preprocess::none;
  return config;
}

TEST(PowerOfTwo, EveryStepIsOneAndTheExecutorsAgree) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const QuantConfig config = config_of(seed);
    SCOPED_TRACE(fmt::format("seed {} {}", seed, to_json(config)));
    const RandomNet net = random_net(seed);
    prepare_and_show(net, config, seed);
    for (const auto& [name, module] : net.model->named_modules()) {
      const auto* quantizer = dynamic_cast<FakeQuantizer*>(module);
      if (quantizer == nullptr || quantizer->kind() == "LearnedStepQuantizer") continue;
      if (quantizer->kind() != "WeightQuantizer" && !config.activation_power_of_two) continue;  // the picture's
      const auto params = quantizer->params();
      if (!params) continue;
      for (const float step : params->scale) EXPECT_TRUE(is_power_of_two(step)) << name << ' ' << step;
    }
    const Tensor pictures = random_pictures(net.shape, seed + 1000000);
    EXPECT_EQ(executor_mismatches(*net.model, net.shape, config, pictures).total(), 0);
  }
}

// With batch norms folded before training, a layer's accumulators go to codes by a shift.
TEST(PowerOfTwo, FoldedNetsRescaleByShifts) {
  QuantConfig config;
  config.activation_power_of_two = config.weight_power_of_two = config.fuse_conv_bn = true;
  const RandomNet net{nn::mobilenet_v1({.scale = 0.25}), {4, 32, 32, 3}};
  prepare_and_show(net, config, 1);
  const engine::Graph graph = convert(*net.model, net.shape, config);
  int layers = 0;
  for (const engine::GraphNode& node : graph.nodes) {
    if (node.weight_step.empty()) continue;
    ++layers;
    for (const float step : node.weight_step) EXPECT_TRUE(is_power_of_two(step)) << node.name;
    if (node.type.is_codes) {
      EXPECT_TRUE(is_power_of_two(node.type.grid.scale[0])) << node.name;
    }
  }
  EXPECT_EQ(layers, 28);
}

TEST(PowerOfTwo, WhatCannotBe) {
  EXPECT_ERROR(parse_config(R"({"scheme": "paddle", "weight_power_of_two": true})"), "scheme paddle has thresholds");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "lsq", "activation_power_of_two": true})"),
               "lsq learns them");
  EXPECT_ERROR(parse_config(R"({"weight_quantize_type": "lsq", "weight_power_of_two": true})"), "lsq learns them");
  EXPECT_ERROR(parse_config(R"({"activation_preprocess_type": "PACT", "activation_power_of_two": true})"),
               "would end beyond it");
  EXPECT_ERROR(parse_config(R"({"weight_preprocess_type": "PACT", "weight_power_of_two": true})"),
               "would end beyond it");
}

}  // namespace
}  // namespace octet::quant::test
