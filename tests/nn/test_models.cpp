// The models' shapes, and options that cannot be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/graph.h"
#include "nn/models.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

// The feature map that the pool of the last layers reads.
Shape last_map(nn::Module& net, const Shape& picture) {
  Shape map;
  for (const auto& node : nn::trace(net, picture).nodes)
    if (node.op == "affine_act") map = node.shape;
  return map;
}

TEST(MobileNetV1, ScalesVariantsAndClasses) {
  for (const auto& [scale, width] : {std::pair{0.25, 256}, {0.5, 512}, {0.75, 768}}) {
    const auto net = nn::mobilenet_v1({.classes = 7, .scale = scale});
    EXPECT_EQ(last_map(*net, {1, 32, 32, 3}), (Shape{1, 1, 1, width}));
    net->eval();
    EXPECT_EQ((*net)(Variable(random_f32({2, 32, 32, 3}, 1))).shape(), (Shape{2, 7}));
  }
  const auto cifar = nn::mobilenet_v1({.scale = 0.25, .variant = nn::Variant::cifar});
  EXPECT_EQ(last_map(*cifar, {1, 32, 32, 3}), (Shape{1, 4, 4, 256}));
  const auto odd = nn::mobilenet_v1({.scale = 0.125});
  EXPECT_EQ(last_map(*odd, {1, 65, 40, 3}), (Shape{1, 3, 2, 128}));
}

TEST(MobileNetV1, SameSeedSameWeights) {
  const auto crc = [](nn::Init init, std::uint64_t seed) {
    return state_crc(nn::mobilenet_v1({.scale = 0.25, .init = init, .seed = seed})->state());
  };
  EXPECT_EQ(crc(nn::Init::he, 1), crc(nn::Init::he, 1));
  EXPECT_NE(crc(nn::Init::he, 1), crc(nn::Init::he, 2));
  EXPECT_NE(crc(nn::Init::he, 1), crc(nn::Init::paddle, 1));
}

// The identity that Init::identity adds, and nothing else, taken off again by what a layer makes of its input.
TEST(MobileNetV1, IdentityInitHandsValuesOn) {
  const auto weights = [](nn::Init init) { return nn::mobilenet_v1({.scale = 0.25, .init = init, .seed = 3}); };
  const auto with = weights(nn::Init::identity), without = weights(nn::Init::he);
  const auto a = with->named_modules(), b = without->named_modules();
  int layers = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto *left = dynamic_cast<nn::Conv2d*>(a[i].second), *right = dynamic_cast<nn::Conv2d*>(b[i].second);
    if (left == nullptr) continue;
    SCOPED_TRACE(a[i].first);
    const nn::Conv2dOptions& o = left->options();
    const Tensor x = random_f32({1, 4, 4, o.in_channels}, 5);
    const NoGrad no_grad;
    const Tensor y = (*left)(Variable(x)).value(), z = (*right)(Variable(x)).value();
    const bool hands_on = a[i].first != "conv1.conv";
    layers += hands_on;
    for (std::int64_t n = 0; n < y.numel(); ++n) {
      const std::int64_t c = n % o.out_channels, place = n / o.out_channels, wide = y.shape()[2];
      const std::int64_t from = (place / wide * o.stride * 4 + place % wide * o.stride) * o.in_channels + c;
      const double expected = hands_on && c < o.in_channels ? x.at(from) : 0;
      EXPECT_NEAR(y.at(n) - z.at(n), expected, 1e-4);
    }
  }
  EXPECT_EQ(layers, 26);
}

TEST(MobileNetV1, FirstReductionIsWhereTheVariantsDiffer) {
  for (const auto variant : {nn::Variant::imagenet, nn::Variant::cifar}) {
    const std::int64_t stride = variant == nn::Variant::cifar ? 1 : 2;
    EXPECT_EQ(nn::first_reduction(*nn::mobilenet_v1({.scale = 0.25, .variant = variant})).options().stride, stride);
    EXPECT_EQ(nn::first_reduction(*nn::mobilenet_v2({.scale = 0.25, .variant = variant})).options().stride, stride);
  }
  EXPECT_ERROR(nn::first_reduction(*nn::small_resnet()), "SmallResNet has no blocks.1.dw.conv");
}

TEST(MobileNetV1, ANewNetIsNeitherDeadNorWild) {
  for (const auto init : {nn::Init::he, nn::Init::paddle, nn::Init::identity}) {
    const auto net = nn::mobilenet_v1({.scale = 0.25, .init = init});
    const Tensor logits = (*net)(Variable(random_f32({8, 32, 32, 3}, 1))).value();
    double largest = 0;
    for (const float x : logits.span<float>()) {
      ASSERT_TRUE(std::isfinite(x));
      largest = std::max(largest, std::fabs(static_cast<double>(x)));
    }
    EXPECT_GT(largest, 0.01);
    EXPECT_LT(largest, 100);
  }
}

TEST(MobileNetV1, OptionsThatCannotBe) {
  EXPECT_ERROR(nn::mobilenet_v1({.scale = 0}), "scale 0");
  EXPECT_ERROR(nn::mobilenet_v1({.scale = std::nan("")}), "scale nan");
  EXPECT_ERROR(nn::mobilenet_v1({.scale = 100}), "scale 100");
  EXPECT_ERROR(nn::mobilenet_v1({.classes = 0}), "classes 0");
  const auto net = nn::mobilenet_v1({.scale = 0.25});
  EXPECT_ERROR((*net)(Variable(random_f32({1, 32, 32, 4}, 1))), "4 channels");
  EXPECT_ERROR((*net)(Variable(random_f32({32, 3}, 1))), "conv2d");
}

TEST(MobileNetV2, IsTheNetOfThePaper) {
  const auto net = nn::mobilenet_v2({.classes = 1000});
  EXPECT_EQ(net->parameter_count(), 3504872);  // torchvision's
  const nn::Graph graph = nn::trace(*net, {1, 224, 224, 3});
  EXPECT_NEAR(static_cast<double>(nn::count_macs(graph)), 300.8e6, 0.1e6);  // the paper: 300 M
  const auto adds =
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const nn::GraphNode& node) { return node.op == "add"; });
  EXPECT_EQ(adds, 10);
}

TEST(MobileNetV2, ScalesVariantsAndClasses) {
  EXPECT_EQ(last_map(*nn::mobilenet_v2({.scale = 0.5}), {1, 32, 32, 3}), (Shape{1, 1, 1, 1280}));
  EXPECT_EQ(last_map(*nn::mobilenet_v2({.scale = 1.4}), {1, 32, 32, 3}), (Shape{1, 1, 1, 1792}));
  const auto cifar = nn::mobilenet_v2({.classes = 7, .scale = 0.25, .variant = nn::Variant::cifar});
  EXPECT_EQ(last_map(*cifar, {1, 32, 32, 3}), (Shape{1, 4, 4, 1280}));
  EXPECT_EQ(last_map(*cifar, {1, 33, 20, 3}), (Shape{1, 5, 3, 1280}));
  cifar->eval();
  EXPECT_EQ((*cifar)(Variable(random_f32({2, 32, 32, 3}, 1))).shape(), (Shape{2, 7}));
  // Multiples of 8, never more than a tenth too narrow: 0.75·24 = 18 becomes 24, not 16; 0.75·32 stays.
  const auto widths = [](double scale) {
    std::vector<std::int64_t> all;
    const auto net = nn::mobilenet_v2({.scale = scale});
    for (const auto& [name, module] : net->named_modules())
      if (auto* conv = dynamic_cast<nn::Conv2d*>(module);
          conv != nullptr && (name == "conv1.conv" || name.ends_with("project.conv")))
        if (all.empty() || all.back() != conv->options().out_channels) all.push_back(conv->options().out_channels);
    return all;
  };
  EXPECT_EQ(widths(1), (std::vector<std::int64_t>{32, 16, 24, 32, 64, 96, 160, 320}));
  EXPECT_EQ(widths(0.75), (std::vector<std::int64_t>{24, 16, 24, 48, 72, 120, 240}));
  EXPECT_EQ(widths(0.0625), (std::vector<std::int64_t>{8, 16, 24}));
}

TEST(MobileNetV2, SeedsAndOptionsThatCannotBe) {
  const auto crc = [](std::uint64_t seed) {
    return state_crc(nn::mobilenet_v2({.scale = 0.25, .seed = seed})->state());
  };
  EXPECT_EQ(crc(1), crc(1));
  EXPECT_NE(crc(1), crc(2));
  EXPECT_ERROR(nn::mobilenet_v2({.scale = 0}), "scale 0");
  EXPECT_ERROR(nn::mobilenet_v2({.scale = std::nan("")}), "scale nan");
  EXPECT_ERROR(nn::mobilenet_v2({.classes = 100001}), "classes 100001");
}

TEST(SmallResNet, ShapesAndOptions) {
  const auto net = nn::small_resnet({.classes = 5, .width = 8, .blocks_per_stage = 2});
  EXPECT_EQ(last_map(*net, {1, 32, 32, 3}), (Shape{1, 8, 8, 32}));
  EXPECT_EQ((*net)(Variable(random_f32({3, 32, 32, 3}, 1))).shape(), (Shape{3, 5}));
  EXPECT_ERROR(nn::small_resnet({.width = 0}), "width 0");
  EXPECT_ERROR(nn::small_resnet({.width = std::int64_t{1} << 62}), "width");
  EXPECT_ERROR(nn::small_resnet({.blocks_per_stage = -1}), "blocks_per_stage -1");
}

}  // namespace
}  // namespace octet::test
