// Whole nets trained fused and decomposed: the same bits in f32.
#include <gtest/gtest.h>

#include "nn/models.h"
#include "tests/support/fusion_form.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

struct Outcome {
  std::vector<double> losses;
  Tensor evaluated;
  std::uint32_t state = 0;
};

/// A few steps of plain gradient descent, then logits in evaluation.
Outcome train(nn::Module& net, ops::Fusion fusion, const char* rows, std::int64_t pixels) {
  const FusionForm form(fusion, rows);
  const Tensor x = random_f32({6, pixels, pixels, 3}, 3),
               labels = Tensor::from<std::int32_t>({6}, std::vector<std::int32_t>{0, 1, 2, 3, 4, 5});
  Outcome made;
  for (int step = 0; step < 4; ++step) {
    net.train();
    net.zero_grad();
    const Variable loss = ops::softmax_cross_entropy(net(Variable(x)), labels);
    made.losses.push_back(loss.value().item());
    loss.backward();
    for (Variable& p : net.parameters())
      for (std::int64_t i = 0; i < p.value().numel(); ++i)
        p.value().data<float>()[i] -= 0.01f * p.grad().data<float>()[i];
  }
  net.eval();
  made.evaluated = net(Variable(x)).value();
  made.state = state_crc(net.state());
  return made;
}

template <class Make>
void expect_same_training(const Make& make, std::int64_t pixels) {
  const Outcome decomposed = train(*make(), ops::Fusion::off, "", pixels);
  EXPECT_NE(decomposed.losses.back(), decomposed.losses.front());
  for (const char* rows : {kReferenceConvBnRows, ""}) {
    const Outcome fused = train(*make(), ops::Fusion::integers, rows, pixels);
    EXPECT_EQ(fused.losses, decomposed.losses) << rows;
    EXPECT_TRUE(same_bits(fused.evaluated, decomposed.evaluated)) << rows;
    EXPECT_EQ(fused.state, decomposed.state) << rows;
  }
}

TEST(FusedTraining, MobileNetV1) {
  expect_same_training([] { return nn::mobilenet_v1({.scale = 0.125, .variant = nn::Variant::cifar}); }, 16);
}

TEST(FusedTraining, MobileNetV1OnMapsOfOnePixel) {
  expect_same_training([] { return nn::mobilenet_v1({.scale = 0.25}); }, 11);
}

TEST(FusedTraining, MobileNetV2) {
  expect_same_training([] { return nn::mobilenet_v2({.scale = 0.25, .variant = nn::Variant::cifar}); }, 12);
}

TEST(FusedTraining, SmallResNet) {
  expect_same_training([] { return nn::small_resnet({.width = 8}); }, 12);
}

TEST(FusedTraining, FrozenStatistics) {
  expect_same_training(
      [] {
        auto net = nn::mobilenet_v1({.scale = 0.125});
        for (const auto& [name, module] : net->named_modules())
          if (auto* bn = dynamic_cast<nn::BatchNorm2d*>(module)) bn->freeze_statistics(true);
        return net;
      },
      16);
}

}  // namespace
}  // namespace octet::test
