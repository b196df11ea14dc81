// Post-training quantization: what calibration sees, what it leaves alone, and what it refuses.
#include "quant/calibration/ptq.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/loader.h"
#include "data/transform.h"
#include "nn/models.h"
#include "optim/trainer.h"
#include "quant/analysis/compare.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

const Shape kShape{1, 32, 32, 3};

const data::Dataset& shapes() {
  static const data::Split split = data::synthetic_shapes(7, 200, 1);
  return split.train;
}

/// Batch norms that have seen pictures, so that their statistics say something.
std::shared_ptr<nn::Module> warmed_net() {
  static const auto warm = [] {
    const auto net = nn::mobilenet_v2({.scale = 0.25});
    const NoGrad no_grad;
    for (int i = 0; i < 20; ++i) (*net)(Variable(data::normalise(shapes().pictures.slice(0, 64))));
    return net;
  }();
  const auto net = nn::mobilenet_v2({.scale = 0.25});
  net->load_state(warm->state());
  net->eval();
  return net;
}

template <class T>
T& module_at(nn::Module& model, const std::string& path) {
  for (const auto& [name, module] : model.named_modules())
    if (name == path) return dynamic_cast<T&>(*module);
  fail("test", "no module " + path);
}

TEST(Calibrate, LeavesTheFloatModelAsItWas) {
  const auto net = warmed_net();
  const auto before = test::state_crc(net->state());
  const Tensor x = data::normalise(shapes().pictures.slice(0, 8));
  const Tensor floats = (*net)(Variable(x)).value();
  prepare(*net, kShape, {});
  net->train();  // calibrate() goes to evaluation by itself
  calibrate(*net, shapes(), {.pictures = 100, .batch_size = 32});
  for (const auto& [name, module] : net->named_modules()) EXPECT_FALSE(module->is_training()) << name;
  EXPECT_FALSE(test::same_bits((*net)(Variable(x)).value(), floats)) << "now it quantizes";
  remove_quantizers(*net);
  EXPECT_EQ(test::state_crc(net->state()), before) << "weights and running statistics";
  EXPECT_TRUE(test::same_bits((*net)(Variable(x)).value(), floats));
}

TEST(Calibrate, ObserversSeeTheFloatNet) {
  QuantConfig config;
  config.activation_quantize_type = ActivationQuantize::abs_max;
  const auto net = warmed_net();
  // What the stem of the float net gives for the pictures that calibration draws.
  const data::Loader loader(shapes(), {32, true, data::Augment::none, 5});
  float largest = 0;
  {
    const NoGrad no_grad;
    auto& block = module_at<nn::ConvBnAct>(*net, "blocks.0.dw");
    auto& stem = module_at<nn::ConvBnAct>(*net, "conv1");
    for (int batch = 0; batch < 3; ++batch) {
      const Variable y = block.forward(stem.forward(Variable(loader.make(0, batch).images)));
      for (const float v : y.value().span<float>()) largest = std::max(largest, std::fabs(v));
    }
  }
  prepare(*net, kShape, config);
  calibrate(*net, shapes(), {.pictures = 96, .batch_size = 32, .seed = 5});
  const auto params = module_at<nn::Conv2d>(*net, "blocks.0.project.conv").slot("input_transform")->params();
  ASSERT_TRUE(params.has_value());
  EXPECT_EQ(params->scale[0], largest / 255.0f) << "had the stem been rounded, this would differ";
}

TEST(Calibrate, IsAFunctionOfItsOptions) {
  const auto crc = [](const CalibrateOptions& options) {
    const auto net = warmed_net();
    prepare(*net, kShape, {});
    std::int64_t last = 0, told = 0;
    calibrate(*net, shapes(), options, [&](std::int64_t done, std::int64_t total) {
      EXPECT_GT(done, last);
      last = done, told = total;
    });
    EXPECT_EQ(last, std::min<std::int64_t>(options.pictures, 200));
    EXPECT_EQ(told, last);
    return test::state_crc(net->state());
  };
  EXPECT_EQ(crc({.pictures = 70, .batch_size = 32}), crc({.pictures = 70, .batch_size = 32}));
  EXPECT_NE(crc({.pictures = 70, .batch_size = 32}), crc({.pictures = 71, .batch_size = 32}));
  EXPECT_NE(crc({.pictures = 70, .batch_size = 32}), crc({.pictures = 70, .batch_size = 32, .seed = 2}));
  EXPECT_EQ(crc({.pictures = 200}), crc({.pictures = 100000})) << "a smaller set is taken whole";
  crc({.pictures = 1});
}

TEST(Calibrate, ConvertsUnderEverySchemeAndOption) {
  std::vector<QuantConfig> configs(14);
  configs[1].scheme = Scheme::paddle, configs[2].scheme = Scheme::tensorrt;
  configs[3].weight_quantize_type = WeightQuantize::abs_max;
  configs[4].activation_quantize_type = ActivationQuantize::min_max;
  configs[5].weight_bits = configs[5].activation_bits = 4;
  configs[6].fuse_conv_bn = true, configs[6].activation_quantize_type = ActivationQuantize::range_abs_max;
  configs[7].weight_quantize_type = WeightQuantize::channel_wise_mse;
  configs[8].weight_quantize_type = WeightQuantize::channel_wise_percentile, configs[8].scheme = Scheme::paddle;
  configs[9].activation_quantize_type = ActivationQuantize::percentile, configs[9].scheme = Scheme::tensorrt;
  configs[10].activation_quantize_type = ActivationQuantize::kl, configs[10].weight_quantize_type = WeightQuantize::kl;
  configs[11].activation_quantize_type = ActivationQuantize::mse, configs[11].activation_affine = true;
  configs[12].activation_quantize_type = ActivationQuantize::mse, configs[12].scheme = Scheme::paddle;
  configs[13].activation_quantize_type = ActivationQuantize::range_abs_max, configs[13].activation_affine = true;
  for (const QuantConfig& config : configs) {
    SCOPED_TRACE(to_json(config));
    const auto net = warmed_net();
    const Tensor x = data::normalise(shapes().pictures.slice(0, 8));
    const Tensor floats = (*net)(Variable(x)).value();
    prepare(*net, kShape, config);
    calibrate(*net, shapes(), {.pictures = 128});
    NamedTensors simulated, run;
    const Tensor logits = engine::Engine(convert(*net, kShape, config)).run(x, &run);
    Simulator(*net, kShape, config).run(x, &simulated);
    EXPECT_EQ(code_mismatches(simulated, run).total(), 0);
    double apart = 0, largest = 0;
    for (std::int64_t i = 0; i < logits.numel(); ++i) {
      apart = std::max(apart, std::fabs(logits.at(i) - floats.at(i)));
      largest = std::max(largest, std::fabs(floats.at(i)));
    }
    EXPECT_LT(apart, (config.weight_bits == 8 ? 0.6 : 3.0) *
                         largest);  // untrained: what a step rounds off grows layer by layer
  }
}

TEST(Calibrate, WhatCannotBe) {
  const auto net = nn::small_resnet({.width = 4});
  EXPECT_ERROR(calibrate(*net, shapes()), "no quantizers");
  prepare(*net, kShape, {});
  EXPECT_ERROR(calibrate(*net, shapes(), {.pictures = 0}), "0 pictures");
  EXPECT_ERROR(calibrate(*net, shapes(), {.batch_size = 0}), "batch");
  EXPECT_ERROR(calibrate(*net, {}), "loader");
  EXPECT_ERROR(convert(*net, kShape, {}), "has seen no data");
  const auto refused = [](auto set, const char* key, const char* module) {
    QuantConfig config;
    set(config);
    EXPECT_ERROR(require_calibratable(config), key);
    const auto learner = nn::small_resnet({.width = 4});
    prepare(*learner, kShape, config);
    EXPECT_ERROR(calibrate(*learner, shapes()), module);
  };
  refused([](auto& c) { c.weight_quantize_type = WeightQuantize::lsq; }, "weight_quantize_type lsq", "lsq");
  refused([](auto& c) { c.activation_quantize_type = ActivationQuantize::lsq; }, "activation_quantize_type lsq", "lsq");
  refused([](auto& c) { c.activation_preprocess_type = Preprocess::pact; }, "activation_preprocess_type PACT", "PACT");
  refused([](auto& c) { c.weight_preprocess_type = Preprocess::pact; }, "weight_preprocess_type PACT", "PACT");
  EXPECT_NO_THROW(require_calibratable({}));
}

}  // namespace
}  // namespace octet::quant
