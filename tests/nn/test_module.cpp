// Names, state, modes and slots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nn/layers.h"
#include "nn/models.h"
#include "tests/nn/toy_modules.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using nn::Module;
using ::testing::ElementsAre;

template <class List>
std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : list) names.push_back(name);
  return names;
}

std::shared_ptr<nn::Sequential> small_net() {
  return std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<Module>>{
      std::make_shared<nn::ConvBnAct>(conv_options(2, 3, 3), ops::Activation::relu), std::make_shared<nn::Flatten>(),
      std::make_shared<nn::Linear>(12, 4)});
}

TEST(Module, NamesInOrderOfRegistration) {
  const auto net = small_net();
  EXPECT_THAT(names_of(net->named_modules()), ElementsAre("", "0", "0.conv", "0.bn", "1", "2"));
  EXPECT_THAT(names_of(net->named_parameters()),
              ElementsAre("0.conv.weight", "0.bn.gamma", "0.bn.beta", "2.weight", "2.bias"));
  EXPECT_THAT(names_of(net->named_buffers()), ElementsAre("0.bn.running_mean", "0.bn.running_var"));
  EXPECT_THAT(names_of(net->state()), ElementsAre("0.conv.weight", "0.bn.gamma", "0.bn.beta", "2.weight", "2.bias",
                                                  "0.bn.running_mean", "0.bn.running_var"));
  EXPECT_EQ(net->parameter_count(), 3 * 3 * 3 * 2 + 3 + 3 + 12 * 4 + 4);
  EXPECT_EQ(net->kind(), "Sequential");
}

TEST(Module, ASharedModuleIsListedOnceUnderItsFirstName) {
  const auto shared = std::make_shared<nn::Linear>(4, 4);
  nn::Sequential net({shared, nn::relu(), shared});
  EXPECT_THAT(names_of(net.named_parameters()), ElementsAre("0.weight", "0.bias"));
  EXPECT_EQ(net.parameters().size(), 2u);
  EXPECT_EQ(net.parameter_count(), 20);
  EXPECT_THAT(names_of(net.named_modules()), ElementsAre("", "0", "1"));
  net.load_state(net.state());  // a round trip of what it lists
}

TEST(Module, ANullChildIsRefused) {
  EXPECT_ERROR(nn::Sequential({nn::relu(), nullptr}), "'1' of a Sequential is null");
}

TEST(Module, StateSharesMemoryAndLoadCopies) {
  const auto net = small_net(), other = small_net();
  Tensor weight = net->state()[0].second;
  weight.fill(0.5);
  EXPECT_EQ(net->parameters()[0].value().at(7), 0.5);
  other->load_state(net->state());
  EXPECT_EQ(state_crc(other->state()), state_crc(net->state()));
  weight.fill(0.25);
  EXPECT_EQ(other->parameters()[0].value().at(7), 0.5);
}

TEST(Module, ABadStateChangesNothing) {
  const auto net = small_net();
  Module::NamedTensors good;
  for (const auto& [name, tensor] : net->state()) good.emplace_back(name, Tensor::full(tensor.shape(), 3));
  const std::uint32_t before = state_crc(net->state());
  const auto refused = [&](const Module::NamedTensors& state, const std::string& why) {
    EXPECT_ERROR(net->load_state(state), why);
    EXPECT_EQ(state_crc(net->state()), before) << why;
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto missing = good;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    refused(missing, "'" + good[i].first + "'");
    auto shape = good;
    shape[i].second = Tensor::zeros({5, 1});
    refused(shape, "'" + good[i].first + "' is 5x1 f32");
    auto dtype = good;
    dtype[i].second = Tensor::zeros(good[i].second.shape(), DType::s32);
    refused(dtype, "'" + good[i].first + "'");
    auto undefined = good;
    undefined[i].second = {};
    refused(undefined, "'" + good[i].first + "'");
  }
  auto unexpected = good;
  unexpected.emplace_back("9.weight", Tensor::zeros({1}));
  refused(unexpected, "unexpected tensor '9.weight'");
  auto twice = good;
  twice.push_back(good[2]);
  refused(twice, "'0.bn.beta' is given twice");
  refused({}, "'0.conv.weight' (3x3x3x2) is missing");
  net->load_state(good);
  EXPECT_EQ(state_crc(net->state()), state_crc(good));
}

TEST(Module, ModeReachesEveryDescendantAndTellsOnlyChanges) {
  const auto conv = std::make_shared<nn::Conv2d>(conv_options(2, 3, 3));
  nn::Sequential net({std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<Module>>{conv})});
  const auto transform = std::make_shared<Doubling>();
  conv->set_slot("weight_transform", transform);
  EXPECT_TRUE(net.is_training() && conv->is_training() && transform->is_training());
  EXPECT_EQ(transform->mode_changes, 0);
  net.eval();
  EXPECT_FALSE(net.is_training() || conv->is_training() || transform->is_training());
  net.eval();
  EXPECT_EQ(transform->mode_changes, 1);
  conv->train();  // a child on its own; the next call for the whole net reaches it all the same
  EXPECT_FALSE(net.is_training());
  net.eval();
  EXPECT_FALSE(conv->is_training());
  net.train();
  EXPECT_TRUE(conv->is_training() && transform->is_training());
}

TEST(Module, GradientsReachSharedParametersAndAreZeroed) {
  const auto shared = std::make_shared<nn::Linear>(3, 3, false);
  nn::Sequential net({shared, shared});
  const Variable x(random_f32({1, 3}, 1));
  net(x).backward(Tensor::full({1, 3}, 1));
  const Tensor both = shared->weight.grad().clone();
  net.zero_grad();
  EXPECT_FALSE(shared->weight.grad().defined());
  const Variable middle((*shared)(x).value(), true);
  (*shared)(middle).backward(Tensor::full({1, 3}, 1));
  const Tensor second = shared->weight.grad().clone();
  net.zero_grad();
  (*shared)(x).backward(middle.grad());
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_NEAR(both.at(i), shared->weight.grad().at(i) + second.at(i), 1e-5) << i;
}

TEST(Slots, ATransformActsIsListedAndLeaves) {
  nn::Conv2d conv(conv_options(2, 3, 3));
  const Variable x(random_f32({1, 4, 4, 2}, 1));
  const Tensor plain = conv(x).value();
  const auto transform = std::make_shared<Doubling>();
  for (const std::string& slot : conv.slot_names()) {
    transform->calls = 0;
    conv.set_slot(slot, transform);
    EXPECT_EQ(conv.slot(slot), transform);
    conv(x);
    EXPECT_EQ(transform->calls, 1) << slot;
    EXPECT_EQ(conv.named_parameters().back().first, slot + ".alpha");
    conv.set_slot(slot, nullptr);
    EXPECT_EQ(conv.slot(slot), nullptr);
    EXPECT_EQ(conv.named_parameters().size(), 2u);
  }
  EXPECT_TRUE(same_bits(conv(x).value(), plain));
  conv.set_slot("input_transform", transform);
  const Tensor doubled = conv(x).value();
  for (std::int64_t i = 0; i < plain.numel(); ++i) EXPECT_EQ(doubled.at(i), 2 * plain.at(i));  // the bias is zero
}

TEST(Slots, UnknownNamesAreRefused) {
  nn::Conv2d conv(conv_options(2, 3, 3));
  EXPECT_ERROR(conv.set_slot("weight", std::make_shared<Doubling>()), "a Conv2d has no slot 'weight'");
  EXPECT_ERROR(nn::Flatten().set_slot("input_transform", nullptr), "a Flatten has no slot");
}

TEST(Slots, ATransformTakesTheModeOfItsLayerAndReplacesTheOldOne) {
  nn::Linear linear(2, 2);
  linear.eval();
  const auto first = std::make_shared<Doubling>(), second = std::make_shared<Doubling>();
  linear.set_slot("input_transform", first);
  EXPECT_FALSE(first->is_training());
  linear.set_slot("input_transform", second);
  EXPECT_EQ(linear.slot("input_transform"), second);
  EXPECT_EQ(linear.children().size(), 1u);
}

TEST(Slots, EveryKindOfLayerAppliesItsOwn) {
  const Variable x(random_f32({1, 4, 4, 3}, 1)), flat(random_f32({2, 3}, 2));
  const auto check = [&](Module& module, const std::function<void()>& forward) {
    for (const std::string& slot : module.slot_names()) {
      const auto transform = std::make_shared<Doubling>();
      module.set_slot(slot, transform);
      forward();
      EXPECT_EQ(transform->calls, 1) << module.kind() << " " << slot;
      {
        const nn::TransformBypass bypass;
        forward();
      }
      EXPECT_EQ(transform->calls, 1) << module.kind() << " " << slot;
      module.set_slot(slot, nullptr);
    }
  };
  nn::Linear linear(3, 2);
  check(linear, [&] { linear(flat); });
  nn::BatchNorm2d bn(3);
  check(bn, [&] { bn(x); });
  nn::Add add;
  check(add, [&] { add(x, x); });
  nn::AvgPool2d average({2, 2, 2, 2, 0, 0});
  check(average, [&] { average(x); });
  nn::GlobalAvgPool global;
  check(global, [&] { global(x); });
  nn::ConvBnAct block(conv_options(3, 2, 3), ops::Activation::relu);
  check(*block.conv, [&, biases = 0]() mutable {
    block(x);
    if (auto slot = std::dynamic_pointer_cast<Doubling>(block.conv->slot("bias_transform")); slot && biases++ == 0)
      slot->calls = 1;  // it has no bias
  });
  check(*block.bn, [&] { block(x); });
}

TEST(Slots, BypassNests) {
  EXPECT_FALSE(nn::TransformBypass::active());
  {
    const nn::TransformBypass outer;
    { const nn::TransformBypass inner; }
    EXPECT_TRUE(nn::TransformBypass::active());
  }
  EXPECT_FALSE(nn::TransformBypass::active());
}

}  // namespace
}  // namespace octet::test
