// What accumulators hold: a layer built to overflow, sums by plain loops, bounds by trying every input.
#include "quant/analysis/accumulators.h"

#include <gtest/gtest.h>

#include "nn/layers.h"
#include "quant/analysis/analysis.h"
#include "quant/calibration/ptq.h"
#include "quant/deployment/convert.h"
#include "quant/engine/engine.h"
#include "quant/prepare.h"
#include "random_net.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using test::random_net;

TEST(Accumulators, BitsOfRanges) {
  EXPECT_EQ(bits_for(0, 0), 1);
  EXPECT_EQ(bits_for(-1, 0), 1);
  EXPECT_EQ(bits_for(0, 1), 2);
  EXPECT_EQ(bits_for(-32768, 32767), 16);
  EXPECT_EQ(bits_for(-32769, 0), 17);
  EXPECT_EQ(bits_for(0, 32768), 17);
  EXPECT_EQ(bits_for(-2147483648LL, 2147483647LL), 32);
}

/// One 1x1 convolution from the picture, weights of one value, and a linear layer that looks at one channel: 255·127
/// fits in 16 bits.
struct Built {
  std::shared_ptr<nn::Conv2d> conv;
  std::shared_ptr<nn::Linear> linear = std::make_shared<nn::Linear>(2, 2, false);
  nn::Sequential net;
  QuantConfig config;
  Shape shape{1, 1, 1, 3};

  explicit Built(float bias)
      : conv(std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in_channels = 3, .out_channels = 2})),
        net({conv, nn::relu(), std::make_shared<nn::Flatten>(), linear}) {
    conv->weight.value().fill(0.5);
    conv->bias.value().fill(bias);
    linear->weight.value().copy_from(Tensor::from<float>({2, 2}, std::vector<float>{1, 0, 0, 1}));
    prepare(net, shape, config);
    net.train();
    const NoGrad no_grad;
    net(Variable(Tensor::full(shape, 1)));
    net.eval();
  }
  engine::Graph graph() { return convert(net, shape, config); }
};

TEST(Accumulators, ALayerBuiltToOverflow) {
  Built built(0);
  // Codes of the picture are 127 at most and those of the weights 127: 3·127·127 = 48387 > 32767.
  const auto bright = accumulator_use(built.graph(), Tensor::full(built.shape, 1));
  ASSERT_EQ(bright.size(), 2u);
  EXPECT_EQ(bright[0].greatest, 3 * 127 * 127);
  EXPECT_EQ(bright[0].least, -3 * 128 * 127) << "the picture's grid begins at -128";
  EXPECT_EQ(bright[0].seen_greatest, 48387);
  EXPECT_EQ(bright[0].seen_bits(), 17);
  EXPECT_NE(sixteen_bits(bright).find("would have overflowed in 1 of 2 layers"), std::string::npos)
      << sixteen_bits(bright);
  EXPECT_NE(sixteen_bits(bright).find("0 needs 17 bits"), std::string::npos) << sixteen_bits(bright);
  // A dim picture makes sums that fit, though others would not.
  const auto dim = accumulator_use(built.graph(), Tensor::full(built.shape, 0.5));
  EXPECT_EQ(dim[0].seen_greatest, 3 * 64 * 127) << "127/2 rounds to the even code";
  EXPECT_EQ(dim[0].seen_bits(), 16);
  EXPECT_EQ(dim[0].bits(), 17);
  EXPECT_NE(sixteen_bits(dim).find("hold every sum that was seen here; in 1 of 2 layers"), std::string::npos)
      << sixteen_bits(dim);
  // Biases count: 0.5/127·1/127 is a step.
  const auto biased = accumulator_use(Built(10).graph(), Tensor::full(built.shape, 0));
  EXPECT_EQ(biased[0].seen_greatest, biased[0].seen_least);
  EXPECT_NEAR(static_cast<double>(biased[0].seen_greatest), 10 * 127 * 127 / 0.5, 2);
  EXPECT_EQ(biased[0].greatest, biased[0].seen_greatest + 48387);
}

TEST(Accumulators, FewBitsFitInSixteen) {
  Built built(0);
  built.config.weight_bits = 2, built.config.activation_bits = 2;
  remove_quantizers(built.net);
  prepare(built.net, built.shape, built.config);
  built.net.train();
  {
    const NoGrad no_grad;
    built.net(Variable(Tensor::full(built.shape, 1)));
  }
  built.net.eval();
  const std::string words = sixteen_bits(accumulator_use(built.graph(), Tensor::full(built.shape, 1)));
  EXPECT_NE(words.find("16 bits would do"), std::string::npos) << words;
}

/// Extremes of a layer's sums over its source's codes, in plain loops.
std::pair<std::int64_t, std::int64_t> sums_of(const engine::GraphNode& node, const engine::GraphNode& src,
                                              const Tensor& codes) {
  const kernels::ConvGeometry& g = node.geometry;
  const bool depthwise = node.op == engine::OpKind::dwconv2d;
  std::int64_t least = INT64_MAX, greatest = INT64_MIN;
  for (std::int64_t n = 0; n < codes.shape()[0]; ++n)
    for (std::int64_t p = 0; p < g.out_h(); ++p)
      for (std::int64_t q = 0; q < g.out_w(); ++q)
        for (std::int64_t k = 0; k < g.k; ++k) {
          std::int64_t sum = node.bias.empty() ? 0 : node.bias[static_cast<std::size_t>(k)];
          for (std::int64_t r = 0; r < g.r; ++r)
            for (std::int64_t s = 0; s < g.s; ++s)
              for (std::int64_t c = depthwise ? k : 0; c < (depthwise ? k + 1 : g.c); ++c) {
                const std::int64_t y = p * g.stride_h - g.pad_h + r, x = q * g.stride_w - g.pad_w + s;
                if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
                const auto code =
                    static_cast<std::int64_t>(codes.at(((n * g.h + y) * g.w + x) * g.c + c)) - src.type.grid.zero_point;
                sum += code * node.weight.data<std::int8_t>()[((k * g.r + r) * g.s + s) * (depthwise ? 1 : g.c) +
                                                              (depthwise ? 0 : c)];
              }
          least = std::min(least, sum), greatest = std::max(greatest, sum);
        }
  return {least, greatest};
}

TEST(Accumulators, AreTheSumsOfRandomNets) {
  int layers = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const test::RandomNet net = random_net(seed);
    const QuantConfig config = test::random_config(seed);
    test::prepare_and_show(net, config, seed);
    const engine::Graph graph = convert(*net.model, net.shape, config);
    const Tensor pictures = test::random_pictures(net.shape, seed + 500);
    const auto all = accumulator_use(graph, pictures);
    NamedTensors values;
    engine::Engine(graph).run(pictures, &values);
    auto use = all.begin();
    for (const engine::GraphNode& node : graph.nodes) {
      if (!engine::is_layer(node.op)) continue;
      ASSERT_NE(use, all.end());
      EXPECT_EQ(use->layer, node.name);
      const engine::GraphNode& src = graph.nodes[static_cast<std::size_t>(node.inputs[0])];
      const auto codes =
          std::find_if(values.begin(), values.end(), [&](const auto& value) { return value.first == src.name; });
      const auto [least, greatest] = sums_of(node, src, codes->second);
      const auto slack = static_cast<std::int64_t>(
          1e-6 * static_cast<double>(std::max(std::abs(least), std::abs(greatest))));  // f32 beyond 2^24
      EXPECT_NEAR(use->seen_least, least, slack) << seed << ' ' << node.name;
      EXPECT_NEAR(use->seen_greatest, greatest, slack) << seed << ' ' << node.name;
      EXPECT_LE(use->least, least + slack);
      EXPECT_GE(use->greatest, greatest - slack);
      for (std::int64_t k = 0; k < node.geometry.k; ++k) EXPECT_LE(std::max(-use->least, use->greatest), INT32_MAX);
      ++use, ++layers;
    }
    EXPECT_EQ(use, all.end());
  }
  EXPECT_GT(layers, 80);
}

}  // namespace
}  // namespace octet::quant
