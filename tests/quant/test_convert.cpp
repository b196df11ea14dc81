#include "quant/deployment/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/random.h"
#include "nn/models.h"
#include "quant/deployment/plan.h"
#include "quant/engine/graph_file.h"
#include "quant/qat.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::quant {
namespace {

using Modules = std::vector<std::shared_ptr<nn::Module>>;
using engine::OpKind;
using ops::Activation;

Tensor pictures(const Shape& shape) {
  Tensor t(shape);
  Random random(3, Purpose::test);
  for (float& x : t.span<float>()) x = static_cast<float>(random.uniform(-1, 1));
  return t;
}

/// Prepared and shown a batch.
std::shared_ptr<nn::Sequential> shown(Modules modules, const Shape& shape, const QuantConfig& config = {}) {
  auto net = std::make_shared<nn::Sequential>(std::move(modules));
  prepare(*net, shape, config);
  net->train();
  NoGrad no_grad;
  (*net)(Variable(pictures(shape)));
  net->eval();
  return net;
}

std::shared_ptr<nn::ConvBnAct> block(std::int64_t in, std::int64_t out, Activation act, bool depthwise = false) {
  return std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{in, out, 3, 3, 1, 1, false, depthwise}, act);
}
std::shared_ptr<nn::Module> gap() { return std::make_shared<nn::GlobalAvgPool>(); }
std::shared_ptr<nn::Module> flatten() { return std::make_shared<nn::Flatten>(); }
std::shared_ptr<nn::Module> linear(std::int64_t in) { return std::make_shared<nn::Linear>(in, 4); }

std::string ops_of(const engine::Graph& graph) {
  std::string text;
  for (const auto& node : graph.nodes)
    text += std::string(engine::name_of(node.op)) + (node.type.is_codes ? " " : "/f32 ");
  return text;
}

const Shape kShape{2, 6, 6, 3};

TEST(Convert, OctetIsCodesThroughout) {
  auto net =
      shown({block(3, 4, Activation::relu), block(4, 4, Activation::relu6, true), gap(), flatten(), linear(4)}, kShape);
  const auto graph = convert(*net, kShape, {});
  EXPECT_EQ(ops_of(graph), "input/f32 quantize conv2d dwconv2d avg_pool flatten conv2d/f32 ");
  EXPECT_EQ(graph.scheme, "octet");
  EXPECT_EQ(graph.nodes[1].name, "0.conv.input");
  EXPECT_EQ(graph.nodes[2].name, "0.conv");
  EXPECT_EQ(graph.nodes[3].clamp_lo, 0);
  EXPECT_LE(graph.nodes[3].clamp_hi, static_cast<std::int32_t>(std::rint(6 / graph.nodes[3].type.grid.step())));
  EXPECT_EQ(graph.nodes[6].weight.shape(), (Shape{4, 1, 1, 4}));
}

TEST(Convert, ActivationsNarrowTheBounds) {
  QuantParams grid;
  grid.scale = {0.1f}, grid.lo = -128, grid.hi = 127;
  const auto bounds = [&](Activation act) { return std::pair(bounds_of(grid, act).lo, bounds_of(grid, act).hi); };
  EXPECT_EQ(bounds(Activation::none), std::pair(-128, 127));
  EXPECT_EQ(bounds(Activation::relu), std::pair(0, 127));
  EXPECT_EQ(bounds(Activation::relu6), std::pair(0, 60));
  grid.lo = 0, grid.hi = 255, grid.zero_point = 20;
  EXPECT_EQ(bounds(Activation::relu6), std::pair(20, 80));
  grid.scale = {0.01f};
  EXPECT_EQ(bounds(Activation::relu6), std::pair(20, 255));
}

TEST(Convert, PaddlePoolsFloats) {
  QuantConfig config;
  config.scheme = Scheme::paddle;
  auto net = shown(
      {block(3, 4, Activation::relu), block(4, 4, Activation::relu), std::make_shared<nn::MaxPool2d>(ops::Pool2dArgs{}),
       block(4, 4, Activation::relu), gap(), flatten(), linear(4)},
      kShape, config);
  const auto graph = convert(*net, kShape, config);
  EXPECT_EQ(ops_of(graph),
            "input/f32 quantize conv2d conv2d/f32 max_pool/f32 quantize conv2d/f32 avg_pool/f32 quantize flatten "
            "conv2d/f32 ");
  EXPECT_TRUE(graph.nodes[2].bias.empty());
  EXPECT_EQ(graph.nodes[2].float_bias.size(), 4u);
  EXPECT_EQ(graph.nodes[3].act, Activation::relu);
}

TEST(Convert, FloatPartsGetFloatEdges) {
  // The picture's average is the result: a float op behind a quantizer.
  auto net = shown({block(3, 4, Activation::relu), gap(), flatten()}, kShape);
  EXPECT_EQ(ops_of(convert(*net, kShape, {})), "input/f32 quantize conv2d dequantize/f32 avg_pool/f32 flatten/f32 ");
}

TEST(Convert, RefusesWithAHint) {
  QuantConfig linear_only;
  linear_only.quantizable_layer_type = {"Linear"};
  auto net = shown({block(3, 4, Activation::relu), gap(), flatten(), linear(4)}, kShape, linear_only);
  EXPECT_ERROR(convert(*net, kShape, linear_only), "0.conv has no quantizers");

  auto unseen = std::make_shared<nn::Sequential>(Modules{block(3, 4, Activation::relu), gap(), flatten(), linear(4)});
  EXPECT_ERROR(convert(*unseen, kShape, {}), "has no quantizers");
  prepare(*unseen, kShape, {});
  EXPECT_ERROR(convert(*unseen, kShape, {}), "has seen no data ---> HINT");

  auto lonely = shown({block(3, 4, Activation::none), std::make_shared<nn::MaxPool2d>(ops::Pool2dArgs{}),
                       std::make_shared<nn::BatchNorm2d>(4), gap(), flatten(), linear(4)},
                      kShape);
  EXPECT_ERROR(convert(*lonely, kShape, {}), "does not follow a convolution");
}

TEST(Convert, ReportsDegenerateChannels) {
  auto first = block(3, 4, Activation::relu);
  auto net = shown({first, gap(), flatten(), linear(4)}, kShape);
  first->bn->gamma.value().data<float>()[2] = 0;
  first->bn->beta.value().data<float>()[2] = 0.5f;
  first->bn->gamma.value().data<float>()[1] = 2e-12f;
  first->bn->beta.value().data<float>()[1] = 1;
  ConvertReport report;
  const auto graph = convert(*net, kShape, {}, &report);
  ASSERT_EQ(report.channels.size(), 2u) << report.str();
  EXPECT_EQ(report.channels[0].layer, "0.conv");
  EXPECT_EQ(report.channels[0].channel, 1);
  EXPECT_EQ(report.channels[1].channel, 2);
  EXPECT_NE(report.str().find("0.conv: 2 channels"), std::string::npos);
  for (float step : graph.nodes[2].weight_step) EXPECT_GE(step, kMinScale);
}

TEST(Convert, ReportsScalesSetByPadding) {
  const Shape one{1, 1, 1, 3};
  auto depthwise = block(3, 3, Activation::relu, true);
  for (std::int64_t i = 0; i < 27; ++i) depthwise->conv->weight.value().data<float>()[i] = i % 9 == 4 ? 0.5f : 0.1f;
  depthwise->conv->weight.value().data<float>()[9] = 2;  // channel 1, a corner
  auto net = shown({depthwise, flatten(), linear(3)}, one);
  ConvertReport report;
  convert(*net, one, {}, &report);
  ASSERT_EQ(report.channels.size(), 1u) << report.str();
  EXPECT_EQ(report.channels[0].channel, 1);
  EXPECT_NE(report.channels[0].what.find("padding"), std::string::npos);
}

TEST(Convert, NegativeGammaChangesSignsNotCodes) {
  auto first = block(3, 4, Activation::relu);
  auto net = shown({first, gap(), flatten(), linear(4)}, kShape);
  const auto before = convert(*net, kShape, {});
  for (float& gamma : first->bn->gamma.value().span<float>()) gamma = -gamma;
  const auto after = convert(*net, kShape, {});
  for (std::int64_t i = 0; i < before.nodes[2].weight.numel(); ++i)
    ASSERT_EQ(before.nodes[2].weight.at(i), -after.nodes[2].weight.at(i));
  EXPECT_EQ(before.nodes[2].weight_step, after.nodes[2].weight_step);
}

TEST(Convert, PixelsAreNeverTies) {
  std::set<int> codes;
  for (int pixel = 0; pixel < 256; ++pixel) {
    const double t = (pixel - 127.5) / 127.5 / static_cast<double>(kPictureStep);
    EXPECT_GT(std::fabs(t - std::floor(t) - 0.5), 1e-3) << pixel;
    codes.insert(static_cast<int>(std::rint(t)));
  }
  EXPECT_GE(codes.size(), 254u);
}

TEST(Qat, TheTutorialsLines) {
  const octet::test::TempFolder folder;
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  auto net = nn::mobilenet_v1(options);
  QuantConfig config;
  Qat qat(config);
  qat.quantize(*net);
  net->train();
  {
    NoGrad no_grad;
    (*net)(Variable(pictures({2, 32, 32, 3})));
  }
  qat.save_quantized_model(*net, folder / "int8.safetensors");
  EXPECT_TRUE(net->is_training()) << "saving leaves the mode alone";
  const auto graph = engine::load_graph(folder / "int8.safetensors");
  EXPECT_EQ(engine::str(graph), engine::str(qat.convert(*net)));
  config.weight_bits = 9;
  EXPECT_ERROR(Qat{config}, "weight_bits is 9");
}

}  // namespace
}  // namespace octet::quant
