// Bias correction: closed forms, means that vanish, what is left alone.
#include "quant/calibration/bias_correction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "executors.h"
#include "nn/models.h"
#include "quant/calibration/ptq.h"
#include "quant/prepare.h"
#include "quant/qat.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/quantizers/quantizer_switches.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using octet::test::random_f32;
constexpr double kInfinite = std::numeric_limits<double>::infinity();
const Shape kShape{1, 32, 32, 3};

const data::Dataset& pictures() {
  static const data::Split split = data::load("synthetic", {96, 8});
  return split.train;
}

nn::Conv2dOptions conv_options(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, bool bias) {
  nn::Conv2dOptions o;
  o.in_channels = in, o.out_channels = out, o.kernel_h = o.kernel_w = kernel, o.padding = kernel / 2, o.stride = stride,
  o.bias = bias;
  return o;
}

void randomise(nn::Conv2d& conv, std::uint64_t seed) {
  conv.weight.value().copy_from(random_f32(conv.weight.shape(), seed));
  if (conv.bias.defined()) conv.bias.value().copy_from(random_f32(conv.bias.shape(), seed + 1, -0.1, 0.1));
}

/// Convolutions with and without batch norm, a depthwise one and a linear layer, that keeps what each makes before its
/// activation.
class Watched : public nn::Module {
 public:
  Watched() {
    stem = register_module("stem", std::make_shared<nn::Conv2d>(conv_options(3, 6, 3, 4, false)));
    bn = register_module("bn", std::make_shared<nn::BatchNorm2d>(6));
    auto depthwise = conv_options(6, 6, 3, 2, true);
    depthwise.depthwise = true;
    dw = register_module("dw", std::make_shared<nn::Conv2d>(depthwise));
    fc = register_module("fc", std::make_shared<nn::Linear>(4 * 4 * 6, 3));
    randomise(*stem, 1), randomise(*dw, 2);
    fc->weight.value().copy_from(random_f32(fc->weight.shape(), 3));
    bn->gamma.value().copy_from(random_f32({6}, 4, 0.2, 1));
    bn->gamma.value().data<float>()[2] = -0.7f;
    bn->beta.value().copy_from(random_f32({6}, 5));
  }
  std::string kind() const override { return "Watched"; }
  Variable forward(const Variable& src) override {
    made = {(*bn)((*stem)(src))};
    made.push_back((*dw)(ops::relu(made[0])));
    made.push_back((*fc)(ops::flatten(ops::relu6(made[1]))));
    return made.back();
  }
  std::shared_ptr<nn::Conv2d> stem, dw;
  std::shared_ptr<nn::BatchNorm2d> bn;
  std::shared_ptr<nn::Linear> fc;
  std::vector<Variable> made;
};

/// Mean of what each layer makes over the calibration pictures, channel by channel.
std::vector<std::vector<double>> means_of(Watched& net, const CalibrateOptions& options) {
  const NoGrad no_grad;
  std::vector<std::vector<double>> sums(3);
  std::vector<double> counts(3);
  for_calibration_batches(pictures(), options, [&](const Tensor& images, std::int64_t, std::int64_t) {
    net(Variable(images));
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor value = net.made[i].value();
      const std::int64_t channels = value.shape()[-1];
      sums[i].resize(static_cast<std::size_t>(channels));
      counts[i] += static_cast<double>(value.numel() / channels);
      for (std::int64_t j = 0; j < value.numel(); ++j) sums[i][static_cast<std::size_t>(j % channels)] += value.at(j);
    }
  });
  for (std::size_t i = 0; i < 3; ++i)
    for (double& sum : sums[i]) sum /= counts[i];
  return sums;
}

/// While one lives, values are not rounded.
class QuantizedWeightsAlone {
 public:
  explicit QuantizedWeightsAlone(nn::Module& net) : layers_(quantized_layers(net, "test")), switches_(layers_) {
    switches_.set(false);
    for (const QuantizedLayer& layer : layers_)
      dynamic_cast<FakeQuantizer&>(*layer.module->slot("weight_transform")).set_quantizing(true);
  }

 private:
  std::vector<QuantizedLayer> layers_;
  QuantizerSwitches switches_;
};

/// Steps of a layer's accumulator, behind its batch norm.
std::vector<double> accumulator_steps(Watched& net, std::size_t i) {
  const nn::Module& layer = i == 0   ? static_cast<nn::Module&>(*net.stem)
                            : i == 1 ? static_cast<nn::Module&>(*net.dw)
                                     : *net.fc;
  const auto input = layer.slot("input_transform")->params().value(),
             weight = layer.slot("weight_transform")->params().value();
  std::vector<double> steps;
  for (std::size_t c = 0; c < weight.scale.size(); ++c) {
    double step = static_cast<double>(input.step()) * weight.step(c);
    if (i == 0 && !net.bn->folded() && !net.bn->folds_while_training())
      step *= std::fabs(net.bn->gamma.value().at(static_cast<std::int64_t>(c))) /
              std::sqrt(net.bn->state.running_var.at(static_cast<std::int64_t>(c)) + net.bn->state.epsilon);
    steps.push_back(step);
  }
  return steps;
}

TEST(BiasCorrection, MeanErrorsVanish) {
  for (const int fold : {0, 1, 2}) {
    Watched net;
    net.train();
    {
      const NoGrad no_grad;
      for_calibration_batches(pictures(), {},
                              [&](const Tensor& images, std::int64_t, std::int64_t) { net(Variable(images)); });
    }
    net.eval();
    const CalibrateOptions options{.pictures = 80, .batch_size = 32};
    const auto floats = means_of(net, options);
    QuantConfig config;
    config.weight_bits = 3, config.activation_bits = 4, config.fuse_conv_bn = fold == 1;
    if (fold == 2) config.batch_norm = BatchNormMode::folded;
    prepare(net, kShape, config);
    calibrate(net, pictures(), options);
    const QuantizedWeightsAlone rounding(net);
    const auto before = means_of(net, options);
    std::int64_t told = 0;
    const auto shifts = correct_biases(net, kShape, pictures(), options, [&](std::int64_t done, std::int64_t total) {
      EXPECT_EQ(done, ++told);
      EXPECT_EQ(total, 4);
    });
    EXPECT_EQ(told, 4);
    const auto after = means_of(net, options);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::vector<double> steps = accumulator_steps(net, i);
      double wrong = 0;
      for (std::size_t c = 0; c < after[i].size(); ++c) {
        EXPECT_NEAR(after[i][c], floats[i][c], 2e-5) << i << ' ' << c;
        wrong = std::max(wrong, std::fabs(before[i][c] - floats[i][c]) / steps[c]);
      }
      EXPECT_GT(wrong, 1) << "there was something to correct";
      ASSERT_EQ(shifts[i].shift.size(), after[i].size());
    }
    EXPECT_EQ(shifts[0].layer, "stem");
    EXPECT_EQ(shifts[2].layer, "fc");
    for (std::size_t c = 0; c < 6; ++c)
      EXPECT_NEAR(shifts[0].shift[c], before[0][c] - floats[0][c], 2e-3) << "nothing is before the first";
  }
}

TEST(BiasCorrection, ALinearNetInClosedForm) {
  // b' = b − (E[W̃·x] − E[W·x]), written out.
  const auto fc = std::make_shared<nn::Linear>(3072, 4);
  fc->weight.value().copy_from(random_f32({4, 3072}, 3));
  nn::Sequential net({std::make_shared<nn::Flatten>(), fc});
  QuantConfig config;
  config.weight_bits = 2;
  const CalibrateOptions options{.pictures = 40};
  prepare(net, kShape, config);
  calibrate(net, pictures(), options);
  const QuantParams grid =
      std::dynamic_pointer_cast<FakeQuantizer>(fc->slot("weight_transform"))->params_for(fc->weight.value()).value();
  std::vector<double> wanted(4);
  for_calibration_batches(pictures(), options, [&](const Tensor& images, std::int64_t, std::int64_t total) {
    for (std::int64_t i = 0; i < images.numel(); ++i)
      for (std::int64_t k = 0; k < 4; ++k) {
        const float x = images.data<float>()[i], w = fc->weight.value().data<float>()[k * 3072 + i % 3072];
        const auto at = static_cast<std::size_t>(k);
        const double epsilon = static_cast<double>(grid.dequantize(grid.quantize(w, at), at)) - w;
        wanted[at] -= epsilon * x / static_cast<double>(total);
      }
  });
  correct_biases(net, kShape, pictures(), options);
  for (std::size_t k = 0; k < 4; ++k)
    EXPECT_NEAR(fc->bias.value().at(static_cast<std::int64_t>(k)), wanted[k], 1e-4 * (1 + std::fabs(wanted[k])));
}

TEST(BiasCorrection, MeanOfAClippedNormal) {
  EXPECT_NEAR(clipped_normal_mean(0, 1, 0, kInfinite), 1 / std::sqrt(2 * M_PI), 1e-12);
  EXPECT_NEAR(clipped_normal_mean(5, 1e-3, 0, kInfinite), 5, 1e-9);
  EXPECT_NEAR(clipped_normal_mean(-5, 1e-3, 0, kInfinite), 0, 1e-9);
  EXPECT_NEAR(clipped_normal_mean(3, 100, 0, 6), 3, 1e-9) << "symmetric about the middle";
  EXPECT_EQ(clipped_normal_mean(2, 0, 0, 6), 2);
  EXPECT_EQ(clipped_normal_mean(9, 0, 0, 6), 6);
  for (const auto& [mean, deviation, hi] :
       {std::tuple{0.3, 0.7, kInfinite}, std::tuple{-1.2, 2.0, 6.0}, std::tuple{7.0, 1.5, 6.0}}) {
    double sum = 0;
    const double step = 1e-3;
    for (double z = -10; z < 10; z += step)
      sum += step * std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI) * std::min(std::max(mean + deviation * z, 0.0), hi);
    EXPECT_NEAR(clipped_normal_mean(mean, deviation, 0, hi), sum, 1e-6);
  }
}

TEST(BiasCorrection, AnalyticInClosedForm) {
  // Behind a batch norm and ReLU a 3x3 convolution with padding, whose taps see the picture at different rates.
  const auto first = std::make_shared<nn::ConvBnAct>(conv_options(3, 4, 1, 1, false), ops::Activation::relu);
  const auto second = std::make_shared<nn::ConvBnAct>(conv_options(4, 5, 3, 2, false), ops::Activation::none);
  nn::Sequential net({first, second});
  randomise(*first->conv, 1), randomise(*second->conv, 2);
  first->bn->gamma.value().copy_from(random_f32({4}, 3)), first->bn->beta.value().copy_from(random_f32({4}, 4));
  second->bn->gamma.value().copy_from(random_f32({5}, 5)),
      second->bn->state.running_var.copy_from(random_f32({5}, 6, 0.1, 2));
  const Shape shape{1, 4, 4, 3};
  QuantConfig config;
  config.weight_bits = 2;
  ChannelNormals normals;
  prepare(net, shape, config, &normals);
  const Tensor old = second->bn->beta.value().clone(), weight = second->conv->weight.value();
  const QuantParams grid =
      std::dynamic_pointer_cast<FakeQuantizer>(second->conv->slot("weight_transform"))->params_for(weight).value();
  const auto shifts = correct_biases(net, shape, normals);
  ASSERT_EQ(shifts.size(), 2u);
  EXPECT_TRUE(shifts[0].shift.empty()) << "nothing is known about the picture";
  for (std::int64_t k = 0; k < 5; ++k) {
    double error = 0;
    for (std::int64_t y = 0; y < 2; ++y)
      for (std::int64_t x = 0; x < 2; ++x)
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s)
            for (std::int64_t c = 0; c < 4; ++c) {
              const std::int64_t h = 2 * y - 1 + r, w = 2 * x - 1 + s;
              if (h < 0 || h >= 4 || w < 0 || w >= 4) continue;
              const double mean = first->bn->beta.value().at(c), deviation = std::fabs(first->bn->gamma.value().at(c)),
                           z = mean / deviation;
              const double expected = mean * 0.5 * std::erfc(-z / std::sqrt(2.0)) +
                                      deviation * std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
              const float v = weight.data<float>()[((k * 3 + r) * 3 + s) * 4 + c];
              const auto at = static_cast<std::size_t>(k);
              error += (static_cast<double>(grid.dequantize(grid.quantize(v, at), at)) - v) * expected / 4;
            }
    error *= second->bn->gamma.value().at(k) / std::sqrt(second->bn->state.running_var.at(k) + 1e-5);
    EXPECT_NEAR(second->bn->beta.value().at(k), old.at(k) - error, 1e-5);
    EXPECT_NEAR(shifts[1].shift[static_cast<std::size_t>(k)], error, 1e-5);
  }
}

TEST(BiasCorrection, AnalyticKnowsResidualsPoolsAndFoldedBatchNorms) {
  QuantConfig config;
  config.weight_bits = 3;
  const auto corrected = [&](nn::Module& net) {
    ChannelNormals normals;
    prepare(net, kShape, config, &normals);
    int count = 0;
    for (const BiasShift& one : correct_biases(net, kShape, normals)) count += !one.shift.empty();
    return count;
  };
  EXPECT_EQ(corrected(*nn::mobilenet_v1({.scale = 0.25})), 27) << "all but the stem";
  EXPECT_EQ(corrected(*nn::mobilenet_v2({.scale = 0.25})), 52) << "all but the stem";
  EXPECT_EQ(corrected(*nn::small_resnet({.width = 4})), 4) << "a sum behind a ReLU is no normal";
  config.fuse_conv_bn = true;
  EXPECT_EQ(corrected(*nn::mobilenet_v1({.scale = 0.25})), 27);
  config.equalize = Equalize::cross_layer_absorb;
  EXPECT_EQ(corrected(*nn::mobilenet_v1({.scale = 0.25})), 27);
}

TEST(BiasCorrection, WhatCannotBe) {
  nn::Sequential net({std::make_shared<nn::Conv2d>(conv_options(3, 4, 3, 4, true)), nn::relu(),
                      std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(256, 3, false)});
  EXPECT_ERROR(correct_biases(net, kShape, pictures()), "no quantizers");
  prepare(net, kShape, {});
  EXPECT_ERROR(correct_biases(net, kShape, pictures()), "has seen no data");
  EXPECT_ERROR(correct_biases(net, kShape, ChannelNormals{}),
               "no layer reads a value that a batch norm describes ---> HINT");
  calibrate(net, pictures(), {.pictures = 32});
  const auto shifts = correct_biases(net, kShape, pictures(), {.pictures = 32});
  ASSERT_EQ(shifts.size(), 2u);
  EXPECT_FALSE(shifts[0].shift.empty());
  EXPECT_TRUE(shifts[1].shift.empty()) << "no bias to correct";
  QuantConfig config;
  config.bias_correction = BiasCorrection::empirical;
  EXPECT_ERROR(Qat{config}, "bias_correction empirical is for nets that are not fine-tuned ---> HINT");
}

TEST(BiasCorrection, PtqCorrectsAndTheEngineAgrees) {
  const Tensor x = random_f32({2, 32, 32, 3}, 8);
  for (const BiasCorrection how : {BiasCorrection::none, BiasCorrection::empirical, BiasCorrection::analytic}) {
    std::vector<std::uint32_t> states;
    for (int run = 0; run < 2; ++run) {
      const auto net = nn::mobilenet_v2({.scale = 0.25});
      QuantConfig config;
      config.weight_bits = 4, config.bias_correction = how;
      std::vector<std::string> stages;
      ptq(*net, kShape, config, pictures(), {.pictures = 4}, [&](const std::string& stage, std::int64_t, std::int64_t) {
        if (stages.empty() || stages.back() != stage) stages.push_back(stage);
      });
      EXPECT_EQ(stages.size(), how == BiasCorrection::empirical ? 2u : 1u);
      states.push_back(octet::test::state_crc(net->state()));
      if (run > 0) continue;
      EXPECT_EQ(test::executor_mismatches(*net, kShape, config, x).total(), 0);
    }
    EXPECT_EQ(states[0], states[1]) << "a function of net, pictures and options";
  }
}

}  // namespace
}  // namespace octet::quant
