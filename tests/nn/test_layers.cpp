// Layers: folding, the conv-bn-act block, dropout, joins, initial weights, and options that cannot be.
#include <gtest/gtest.h>

#include <limits>

#include "nn/init.h"
#include "nn/layers.h"
#include "tests/nn/toy_modules.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

// A batch norm as training leaves it.
void make_lived_in(nn::BatchNorm2d& bn, std::uint64_t seed) {
  const Shape shape = bn.gamma.shape();
  bn.gamma.value().copy_from(random_f32(shape, seed, -1.5, 1.5));
  bn.beta.value().copy_from(random_f32(shape, seed + 1));
  bn.state.running_mean.copy_from(random_f32(shape, seed + 2));
  bn.state.running_var.copy_from(random_f32(shape, seed + 3, 0, 2));
}

class Fold : public ::testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(Fold, EqualsUnfusedInEvaluation) {
  const auto [depthwise, bias] = GetParam();
  constexpr std::int64_t kIn = 6;
  const std::int64_t out = depthwise ? kIn : 5;
  auto conv = std::make_shared<nn::Conv2d>(conv_options(kIn, out, 3, 1, bias, depthwise));
  auto bn = std::make_shared<nn::BatchNorm2d>(out);
  if (bias) conv->bias.value().copy_from(random_f32({out}, 3));
  make_lived_in(*bn, 10);
  nn::Sequential net({conv, bn});
  net.eval();
  const Variable x(random_f32({2, 5, 5, kIn}, 1));
  const Tensor unfused = net(x).value();
  bn->fold_into(*conv);
  const Tensor folded = net(x).value();
  const std::int64_t inner = conv->weight.value().numel() / out;
  for (std::int64_t i = 0; i < unfused.numel(); ++i) {
    // |x| <= 1, so that the sum of |weight| bounds what is added up.
    double magnitude = std::fabs(conv->bias.value().at(i % out));
    for (std::int64_t k = 0; k < inner; ++k) magnitude += std::fabs(conv->weight.value().at(i % out * inner + k));
    EXPECT_NEAR(folded.at(i), unfused.at(i), 4 * static_cast<double>(inner) * kEpsilon * magnitude) << i;
  }
  EXPECT_TRUE(bn->folded());
  EXPECT_TRUE(bn->named_parameters().empty() && bn->named_buffers().empty());
  EXPECT_EQ(net.named_parameters().size(), 2u);
  EXPECT_EQ(net.named_parameters()[1].first, "0.bias");
  EXPECT_EQ((*bn)(x).node(), x.node());
  EXPECT_ERROR(bn->fold_into(*conv), "folded already");
  EXPECT_ERROR(bn->affine(x), "folded batch norm");
}
INSTANTIATE_TEST_SUITE_P(Kinds, Fold, ::testing::Combine(::testing::Bool(), ::testing::Bool()));

TEST(FoldBlock, ConvBnActKeepsItsActivation) {
  nn::ConvBnAct block(conv_options(3, 4, 3), ops::Activation::relu6);
  make_lived_in(*block.bn, 5);
  block.eval();
  const Variable x(random_f32({1, 6, 6, 3}, 2, -9, 9));
  const Tensor before = block(x).value();
  block.bn->fold_into(*block.conv);
  const Tensor after = block(x).value();
  for (std::int64_t i = 0; i < before.numel(); ++i) {
    EXPECT_NEAR(after.at(i), before.at(i), 1e-4);
    EXPECT_GE(after.at(i), 0);
    EXPECT_LE(after.at(i), 6);
  }
}

TEST(FoldBlock, AConvOfOtherWidthIsRefusedUntouched) {
  nn::BatchNorm2d bn(4);
  nn::Conv2d conv(conv_options(3, 5, 1, 1, false));
  const std::uint32_t before = state_crc(conv.state());
  EXPECT_ERROR(bn.fold_into(conv), "4 channels cannot fold into 5 filters");
  EXPECT_EQ(state_crc(conv.state()), before);
  EXPECT_FALSE(bn.folded());
}

TEST(BatchNorm2d, FrozenStatisticsStay) {
  nn::BatchNorm2d bn(2);
  const Variable x(random_f32({4, 3, 3, 2}, 1, 2, 3));
  bn.freeze_statistics(true);
  const Tensor frozen = bn(x).value();
  EXPECT_EQ(bn.state.running_mean.at(0), 0);
  EXPECT_NEAR(frozen.at(0), x.value().at(0) / std::sqrt(1 + 1e-5), 1e-6);
  bn.freeze_statistics(false);
  bn(x);
  EXPECT_GT(bn.state.running_mean.at(0), 0.1);  // 0.9·0 + 0.1·(about 2.5)
  EXPECT_LT(bn.state.running_mean.at(0), 0.5);
}

TEST(ConvBnAct, DeferredEqualsPlain) {
  const auto first = std::make_shared<nn::ConvBnAct>(conv_options(3, 4, 3, 2), ops::Activation::relu);
  const auto second = std::make_shared<nn::ConvBnAct>(conv_options(4, 4, 3, 1, false, true), ops::Activation::relu6);
  const auto third = std::make_shared<nn::ConvBnAct>(conv_options(4, 2, 1), ops::Activation::none);
  nn::Sequential net({first, second, third});
  make_lived_in(*first->bn, 1), make_lived_in(*second->bn, 7), make_lived_in(*third->bn, 13);
  const Variable x(random_f32({3, 7, 7, 3}, 4));
  for (const bool training : {false, true}) {
    net.train(training);
    const auto start = [&] {
      std::vector<Tensor> kept;
      for (const auto& entry : net.named_buffers()) kept.push_back(entry.second.clone());
      return kept;
    }();
    const auto run = [&](const std::function<Variable()>& forward) {
      const auto buffers = net.named_buffers();
      for (std::size_t i = 0; i < buffers.size(); ++i) Tensor(buffers[i].second).copy_from(start[i]);
      net.zero_grad();
      const Variable y = forward();
      y.backward(random_f32(y.shape(), 9));
      std::vector<std::pair<std::string, Tensor>> made{{"y", y.value()}};
      for (const auto& [name, p] : net.named_parameters()) made.emplace_back(name, p.grad());
      for (const auto& [name, b] : buffers) made.emplace_back(name, b);
      return state_crc(made);
    };
    const std::uint32_t deferred = run([&] { return net(x); });
    const std::uint32_t plain = run([&] { return (*third)((*second)((*first)(x))); });
    const std::uint32_t by_hand = run([&] {
      Variable y = x;
      for (const auto& block : {first, second, third}) {
        const Variable z = (*block->conv)(y);
        y = ops::affine_act(z, block->bn->affine(z), block->act());
      }
      return y;
    });
    EXPECT_EQ(deferred, plain) << training;
    EXPECT_EQ(deferred, by_hand) << training;
  }
}

TEST(ConvBnAct, AnInputTransformSeesTheActivatedTensor) {
  const auto first = std::make_shared<nn::ConvBnAct>(conv_options(3, 4, 1), ops::Activation::relu);
  const auto second = std::make_shared<nn::ConvBnAct>(conv_options(4, 2, 1), ops::Activation::relu);
  nn::Sequential net({first, second});
  const auto watcher = std::make_shared<Doubling>();
  second->conv->set_slot("input_transform", watcher);
  net.eval();
  const Variable x(random_f32({1, 5, 5, 3}, 4));
  net(x);
  EXPECT_TRUE(same_bits(watcher->seen.value(), (*first)(x).value()));
}

TEST(Dropout, StepsInTrainingAndIsIdentityInEvaluation) {
  nn::Dropout dropout(0.5, 3);
  const Variable x(Tensor::full({1, 1000}, 1));
  dropout.eval();
  EXPECT_EQ(dropout(x).node(), x.node());
  dropout.train();
  const Tensor first = dropout(x).value(), second = dropout(x).value();
  EXPECT_FALSE(same_bits(first, second));
  int kept = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(first.at(i) == 0 || first.at(i) == 2);
    kept += first.at(i) != 0;
  }
  EXPECT_NEAR(kept, 500, 80);

  nn::Dropout other(0.5, 3), stranger(0.5, 4);
  EXPECT_TRUE(same_bits(other(x).value(), first));
  EXPECT_FALSE(same_bits(stranger(x).value(), first));
  nn::Dropout resumed(0.5, 3);
  resumed.load_state(other.state());
  EXPECT_TRUE(same_bits(resumed(x).value(), second));
}

TEST(Dropout, ProbabilitiesThatAreNoneAreRefused) {
  for (const double p : {-0.1, 1.0, 2.0, std::nan("")}) EXPECT_ERROR(nn::Dropout{p}, "not in [0, 1)");
  nn::Dropout none(0);
  const Variable x(random_f32({2, 3}, 1));
  EXPECT_TRUE(same_bits(none(x).value(), x.value()));
}

TEST(Joins, AddAndConcat) {
  nn::Add add;
  nn::Concat concat;
  const Variable a(random_f32({1, 2, 2, 3}, 1)), b(random_f32({1, 2, 2, 3}, 2)), c(random_f32({1, 2, 2, 1}, 3));
  const Tensor sum = add(a, b).value(), joined = concat({a, c}).value();
  for (std::int64_t i = 0; i < sum.numel(); ++i)
    EXPECT_EQ(sum.at(i), static_cast<float>(a.value().at(i)) + static_cast<float>(b.value().at(i)));
  ASSERT_EQ(joined.shape(), (Shape{1, 2, 2, 4}));
  for (std::int64_t i = 0; i < joined.numel(); ++i)
    EXPECT_EQ(joined.at(i), i % 4 == 3 ? c.value().at(i / 4) : a.value().at(i / 4 * 3 + i % 4));
  EXPECT_ERROR(add(a, c), "1x2x2x1");
  EXPECT_ERROR(concat({}), "concat");
  EXPECT_ERROR(add.forward(a), "Add does not take one tensor");
  EXPECT_ERROR(concat.forward(a), "Concat");
}

TEST(Joins, AddTransformsEachSide) {
  nn::Add add;
  add.set_slot("rhs_transform", std::make_shared<Doubling>());
  const Variable one(Tensor::full({1, 1}, 1)), ten(Tensor::full({1, 1}, 10));
  EXPECT_EQ(add(one, ten).value().item(), 21);
  EXPECT_EQ(add(ten, one).value().item(), 12);
}

TEST(Options, ThatCannotBeAreRefused) {
  EXPECT_ERROR(nn::Conv2d(conv_options(0, 3, 3)), "must be positive");
  EXPECT_ERROR(nn::Conv2d(conv_options(3, -1, 3)), "must be positive");
  EXPECT_ERROR(nn::Conv2d(conv_options(3, 3, 0)), "must be positive");
  EXPECT_ERROR(nn::Conv2d(conv_options(3, 3, 3, 0)), "stride 0");
  EXPECT_ERROR(nn::Conv2d(conv_options(3, 4, 3, 1, false, true)), "depthwise");
  EXPECT_ERROR(nn::Linear(0, 4), "must be positive");
  EXPECT_ERROR(nn::BatchNorm2d(0), "must be positive");
  EXPECT_ERROR(nn::BatchNorm2d(2, 1.5), "momentum 1.5");
  EXPECT_ERROR(nn::BatchNorm2d(2, 0.9, 0), "epsilon 0");
  nn::Conv2d conv(conv_options(2, 3, 1));
  EXPECT_ERROR(conv.add_bias(Tensor::zeros({3})), "has a bias already");
  nn::Conv2d bare(conv_options(2, 3, 1, 1, false));
  EXPECT_ERROR(bare.add_bias(Tensor::zeros({2})), "bias of shape 2 for 3 filters");
  EXPECT_ERROR(conv(Variable(Tensor::zeros({1, 2, 2, 5}))), "5 channels");
}

double rms(const Tensor& values) {
  double sum = 0;
  for (const float x : values.span<float>()) sum += static_cast<double>(x) * x;
  return std::sqrt(sum / static_cast<double>(values.numel()));
}

TEST(Init, SpreadFollowsTheRuleAndBiasesAreZero) {
  const auto plain = std::make_shared<nn::Conv2d>(conv_options(64, 128, 3));
  const auto depthwise = std::make_shared<nn::Conv2d>(conv_options(512, 512, 3, 1, true, true));
  const auto linear = std::make_shared<nn::Linear>(300, 200);
  nn::Sequential net({plain, depthwise, linear});
  plain->bias.value().fill(5), linear->bias.value().fill(5);
  nn::initialise(net, nn::Init::he, 1);
  EXPECT_NEAR(rms(plain->weight.value()), std::sqrt(2.0 / (9 * 64)), 0.01 * std::sqrt(2.0 / (9 * 64)));
  EXPECT_NEAR(rms(depthwise->weight.value()), std::sqrt(2.0 / 9), 0.05 * std::sqrt(2.0 / 9));
  const double bound = std::sqrt(6.0 / 500);
  EXPECT_NEAR(rms(linear->weight.value()), bound / std::sqrt(3.0), 0.01 * bound);
  for (const float w : linear->weight.value().span<float>()) ASSERT_LE(std::fabs(w), bound * (1 + kEpsilon));
  EXPECT_EQ(rms(plain->bias.value()) + rms(linear->bias.value()), 0);
  nn::initialise(net, nn::Init::paddle, 1);
  EXPECT_NEAR(rms(depthwise->weight.value()), std::sqrt(2.0 / (9 * 512)), 0.05 * std::sqrt(2.0 / (9 * 512)));
}

TEST(Init, AFunctionOfSeedAndLayer) {
  const auto weights = [](std::uint64_t seed) {
    const auto a = std::make_shared<nn::Linear>(4, 4), b = std::make_shared<nn::Linear>(4, 4);
    nn::Sequential net({a, b});
    nn::initialise(net, nn::Init::he, seed);
    return std::pair(a->weight.value(), b->weight.value());
  };
  const auto [a, b] = weights(1);
  EXPECT_FALSE(same_bits(a, b));
  EXPECT_TRUE(same_bits(weights(1).second, b));
  EXPECT_FALSE(same_bits(weights(2).second, b));
}

}  // namespace
}  // namespace octet::test
