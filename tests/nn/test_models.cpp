// The models' shapes, and options that cannot be.
#include <gtest/gtest.h>

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
  const auto crc = [](nn::Init init, std::uint64_t seed) { return state_crc(nn::mobilenet_v1({.scale = 0.25, .init = init, .seed = seed})->state()); };
  EXPECT_EQ(crc(nn::Init::he, 1), crc(nn::Init::he, 1));
  EXPECT_NE(crc(nn::Init::he, 1), crc(nn::Init::he, 2));
  EXPECT_NE(crc(nn::Init::he, 1), crc(nn::Init::paddle, 1));
}

TEST(MobileNetV1, ANewNetIsNeitherDeadNorWild) {
  for (const auto init : {nn::Init::he, nn::Init::paddle}) {
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
