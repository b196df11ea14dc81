// Cross-layer equalization: ranges in closed form, the function of the net unchanged, who takes part.
#include "quant/calibration/equalize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/loader.h"
#include "data/transform.h"
#include "nn/models.h"
#include "quant/analysis/compare.h"
#include "quant/calibration/ptq.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/prepare.h"
#include "random_net.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using octet::test::random_f32;
using Modules = std::vector<std::shared_ptr<nn::Module>>;

nn::Conv2dOptions conv_options(std::int64_t in, std::int64_t out, std::int64_t kernel = 1, bool depthwise = false,
                               std::int64_t padding = 0) {
  nn::Conv2dOptions o;
  o.in_channels = in, o.out_channels = out, o.kernel_h = o.kernel_w = kernel, o.depthwise = depthwise,
  o.padding = padding;
  return o;
}

std::shared_ptr<nn::Conv2d> conv(std::uint64_t seed, const nn::Conv2dOptions& options) {
  auto made = std::make_shared<nn::Conv2d>(options);
  // Channels of very different reach.
  Random random(seed, Purpose::test);
  float* w = made->weight.value().data<float>();
  const std::int64_t inner = made->weight.value().numel() / made->weight.shape()[0], columns = made->weight.shape()[3];
  for (std::int64_t i = 0; i < made->weight.value().numel(); ++i)
    w[i] = static_cast<float>(random.normal() * std::pow(10.0, (i / inner) % 3) * std::pow(4.0, (i % columns) % 2));
  if (made->bias.defined()) made->bias.value().copy_from(random_f32(made->bias.shape(), seed + 50));
  return made;
}

/// Largest |w| per output channel, and per input channel of a layer with `c` of them.
std::vector<double> rows(const nn::Module& layer) {
  const Tensor& w = nn::weight_of(layer).value();
  std::vector<double> tops(static_cast<std::size_t>(w.shape()[0]));
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    double& top = tops[static_cast<std::size_t>(i / (w.numel() / w.shape()[0]))];
    top = std::max(top, std::fabs(w.at(i)));
  }
  return tops;
}
std::vector<double> columns(const nn::Module& layer, std::int64_t c) {
  const Tensor& w = nn::weight_of(layer).value();
  std::vector<double> tops(static_cast<std::size_t>(c));
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    double& top = tops[static_cast<std::size_t>(i % c)];
    top = std::max(top, std::fabs(w.at(i)));
  }
  return tops;
}

void expect_close(const Tensor& a, const Tensor& b, double tolerance) {
  double largest = 0, apart = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    largest = std::max(largest, std::fabs(a.at(i)));
    apart = std::max(apart, std::fabs(a.at(i) - b.at(i)));
  }
  EXPECT_LE(apart, tolerance * largest);
}

Tensor output(nn::Module& net, const Tensor& x) {
  const NoGrad no_grad;
  net.eval();
  return net(Variable(x)).value();
}

TEST(Equalize, APairInClosedForm) {
  const auto a = conv(1, conv_options(3, 6)), b = conv(2, conv_options(6, 4, 3, false, 1));
  nn::Sequential net({a, nn::relu(), b});
  const std::vector<double> r1 = rows(*a), r2 = columns(*b, 6);
  const Tensor bias = a->bias.value().clone(), x = random_f32({2, 5, 5, 3}, 9), before = output(net, x);
  const auto values = equalize(net, {1, 5, 5, 3});
  ASSERT_EQ(values.size(), 1u);
  EXPECT_EQ(values[0].maker, "0");
  EXPECT_EQ(values[0].reader, "2");
  const std::vector<double> made = rows(*a), read = columns(*b, 6);
  for (std::size_t c = 0; c < 6; ++c) {
    EXPECT_NEAR(values[0].scale[c], std::sqrt(r1[c] / r2[c]), 2e-5 * values[0].scale[c]);
    EXPECT_NEAR(made[c], std::sqrt(r1[c] * r2[c]), 2e-5 * made[c]);
    EXPECT_NEAR(made[c], read[c], 4e-5 * made[c]);
    EXPECT_NEAR(a->bias.value().at(static_cast<std::int64_t>(c)),
                bias.at(static_cast<std::int64_t>(c)) / values[0].scale[c],
                1e-6 * std::fabs(bias.at(static_cast<std::int64_t>(c)) / values[0].scale[c]));
  }
  expect_close(before, output(net, x), 1e-5);
}

TEST(Equalize, AroundADepthwiseConvolutionAllThreeRangesAreTheCubeRoot) {
  const auto a = conv(1, conv_options(3, 5, 3)), dw = conv(2, conv_options(5, 5, 3, true, 1)),
             b = conv(3, conv_options(5, 4));
  nn::Sequential net({a, nn::relu(), dw, nn::relu(), b});
  const std::vector<double> r1 = rows(*a), r2 = rows(*dw), r3 = columns(*b, 5);
  const Tensor x = random_f32({2, 6, 6, 3}, 9), before = output(net, x);
  ASSERT_EQ(equalize(net, {1, 6, 6, 3}).size(), 2u);
  const std::vector<double> n1 = rows(*a), n2 = rows(*dw), n3 = columns(*b, 5);
  for (std::size_t c = 0; c < 5; ++c) {
    const double root = std::cbrt(r1[c] * r2[c] * r3[c]);
    EXPECT_NEAR(n1[c], root, 1e-4 * root);
    EXPECT_NEAR(n2[c], root, 1e-4 * root);
    EXPECT_NEAR(n3[c], root, 1e-4 * root);
  }
  expect_close(before, output(net, x), 1e-5);
}

TEST(Equalize, ThroughPoolsAndFlattens) {
  ops::Pool2dArgs pool;
  pool.window_h = pool.window_w = 3, pool.pad_h = pool.pad_w = 1;
  const auto a = conv(1, conv_options(3, 4)), b = conv(2, conv_options(4, 3)), c = conv(3, conv_options(3, 5));
  const auto fc = std::make_shared<nn::Linear>(2 * 2 * 5, 3), last = std::make_shared<nn::Linear>(3, 2);
  fc->weight.value().copy_from(random_f32(fc->weight.shape(), 7));
  nn::Sequential net({a, nn::relu(), std::make_shared<nn::MaxPool2d>(pool), b, std::make_shared<nn::AvgPool2d>(pool), c,
                      nn::relu(), std::make_shared<nn::Flatten>(), fc, nn::relu(), last});
  const Tensor x = random_f32({2, 8, 8, 3}, 9), before = output(net, x);
  ASSERT_EQ(equalize(net, {1, 8, 8, 3}).size(), 4u);
  const auto expect_equal = [](const std::vector<double>& made, const std::vector<double>& read) {
    for (std::size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(made[i], read[i], 1e-4 * made[i]);
  };
  expect_equal(rows(*a), columns(*b, 4));
  expect_equal(rows(*b), columns(*c, 3));
  expect_equal(rows(*c), columns(*fc, 5));
  expect_equal(rows(*fc), columns(*last, 3));
  expect_close(before, output(net, x), 1e-5);
}

TEST(Equalize, TheBuiltInNetsComputeWhatTheyDid) {
  const data::Dataset pictures = data::load("synthetic", {16, 8}).train;
  const Tensor x = data::normalise(pictures.pictures.slice(0, 4));
  for (const auto& [net, values] :
       {std::pair{nn::mobilenet_v1({.scale = 0.25}), 27u}, std::pair{nn::small_resnet({.width = 8}), 3u},
        std::pair{nn::mobilenet_v2({.scale = 0.25}), 1u}}) {
    net->train();
    {
      const NoGrad no_grad;
      for (int i = 0; i < 4; ++i) (*net)(Variable(data::normalise(pictures.pictures)));
    }
    QuantConfig config;
    config.fuse_conv_bn = true;
    prepare(*net, {1, 32, 32, 3}, config);
    remove_quantizers(*net);
    const Tensor before = output(*net, x);
    EXPECT_EQ(equalize(*net, {1, 32, 32, 3}).size(), values);
    const Tensor after = output(*net, x);
    EXPECT_FALSE(octet::test::same_bits(before, after));
    expect_close(before, after, 2e-5);
  }
}

TEST(Equalize, RandomNetsComputeWhatTheyDid) {
  int balanced = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const test::RandomNet net = test::random_net(seed);
    net.model->eval();
    QuantConfig config;
    config.fuse_conv_bn = true;
    try {
      prepare(*net.model, net.shape, config);
      remove_quantizers(*net.model);
      const Tensor x = test::random_pictures(net.shape, seed), before = output(*net.model, x);
      equalize(*net.model, net.shape);
      expect_close(before, output(*net.model, x), 1e-4);
      ++balanced;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_TRUE(text.find("nothing to balance") != std::string::npos ||
                  text.find("fuse_conv_bn") != std::string::npos)
          << text;
    }
  }
  EXPECT_GT(balanced, 15);
}

TEST(Equalize, LeavesAloneWhatDoesNotScale) {
  const auto nothing = [](const Modules& modules) {
    nn::Sequential net(modules);
    EXPECT_ERROR(equalize(net, {1, 4, 4, 3}), "nothing to balance");
  };
  nothing({conv(1, conv_options(3, 4)), nn::relu6(), conv(2, conv_options(4, 3))});
  const auto twice = conv(1, conv_options(3, 3));
  nothing({twice, nn::relu(), twice});
  nothing({conv(1, conv_options(3, 4)), std::make_shared<nn::BatchNorm2d>(4), nn::relu(), conv(2, conv_options(4, 3))});
  nothing({conv(1, conv_options(3, 4))});

  const auto dead = conv(1, conv_options(3, 2)), after = conv(2, conv_options(2, 3));
  for (int i = 0; i < 3; ++i) dead->weight.value().data<float>()[i] = 0;
  nn::Sequential net({dead, nn::relu(), after});
  const auto values = equalize(net, {1, 4, 4, 3});
  EXPECT_EQ(values[0].scale[0], 1) << "a channel of zeros";
  EXPECT_NE(values[0].scale[1], 1);

  dead->weight.value().data<float>()[1] = NAN;
  EXPECT_ERROR(equalize(net, {1, 4, 4, 3}), "a weight of a Conv2d is nan");
}

TEST(Equalize, HighBiasesAreAbsorbed) {
  const auto a = conv(1, conv_options(3, 4)), b = conv(2, conv_options(4, 2));
  nn::Sequential net({a, nn::relu(), b});
  ChannelNormals normals;
  // Means far above three deviations for the first two channels, not for the others.
  normals[a.get()] = {{400, 9000, 1, -5}, {10, 100, 2, 1}};
  for (int c = 0; c < 2; ++c)
    a->bias.value().data<float>()[c] = static_cast<float>(normals[a.get()].mean[static_cast<std::size_t>(c)]);
  const Tensor x = random_f32({2, 5, 5, 3}, 9), before = output(net, x), old = a->bias.value().clone();
  const auto values = equalize(net, {1, 5, 5, 3}, &normals, true);
  const std::vector<double>&s = values[0].scale, &c = values[0].absorbed;
  ASSERT_EQ(c.size(), 4u);
  EXPECT_NEAR(c[0], (400 - 30) / s[0], 1e-9 * c[0]);
  EXPECT_NEAR(c[1], (9000 - 300) / s[1], 1e-9 * c[1]);
  EXPECT_EQ(c[2], 0);
  EXPECT_EQ(c[3], 0);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(a->bias.value().at(static_cast<std::int64_t>(i)), old.at(static_cast<std::int64_t>(i)) / s[i] - c[i],
                1e-5 * (1 + c[i]));
    EXPECT_NEAR(normals[a.get()].deviation[i], (std::vector<double>{10, 100, 2, 1}[i]) / s[i], 1e-12);
  }
  EXPECT_NEAR(normals[a.get()].mean[0], 30 / s[0], 1e-9);
  // Every value of these channels is above c here, so that the net computes what it did.
  expect_close(before, output(net, x), 1e-5);
}

TEST(Equalize, PaddingAbsorbsNothing) {
  const auto a = conv(1, conv_options(3, 4)), b = conv(2, conv_options(4, 2, 3, false, 1));
  nn::Sequential net({a, nn::relu(), b});
  ChannelNormals normals;
  normals[a.get()] = {{400, 400, 400, 400}, {1, 1, 1, 1}};
  EXPECT_TRUE(equalize(net, {1, 5, 5, 3}, &normals, true)[0].absorbed.empty());
}

TEST(Equalize, PrepareFoldsBalancesAndTheEngineAgrees) {
  const data::Dataset pictures = data::load("synthetic", {16, 8}).train;
  const Tensor x = data::normalise(pictures.pictures.slice(0, 4));
  for (const Scheme scheme : {Scheme::octet, Scheme::paddle, Scheme::tensorrt})
    for (const Equalize how : {Equalize::cross_layer, Equalize::cross_layer_absorb}) {
      const auto net = nn::small_resnet({.width = 4});
      {
        const NoGrad no_grad;
        for (int i = 0; i < 4; ++i) (*net)(Variable(data::normalise(pictures.pictures)));
      }
      QuantConfig config;
      config.scheme = scheme, config.equalize = how, config.weight_quantize_type = WeightQuantize::abs_max;
      ptq(*net, {1, 32, 32, 3}, config, pictures, {.pictures = 16});
      NamedTensors simulated, run;
      const Tensor logits = engine::Engine(convert(*net, {1, 32, 32, 3}, config)).run(x, &run);
      Simulator(*net, {1, 32, 32, 3}, config).run(x, &simulated);
      EXPECT_EQ(code_mismatches(simulated, run).total(), 0);
      // A file is read into the structure alone.
      const auto again = nn::small_resnet({.width = 4});
      prepare(*again, {1, 32, 32, 3}, structure_of(config));
      again->load_state(net->state());
      EXPECT_TRUE(octet::test::same_bits(output(*again, x), output(*net, x)));
    }
}

}  // namespace
}  // namespace octet::quant
