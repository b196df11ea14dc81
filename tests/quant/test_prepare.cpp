#include "quant/prepare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/quantizers/learned_step.h"
#include "quant/quantizers/shift_rounder.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

using nn::Module;

Module& at(Module& model, const std::string& path) {
  for (const auto& [name, module] : model.named_modules())
    if (name == path) return *module;
  fail("test", "no module " + path);
}
std::shared_ptr<nn::Transform> slot(Module& model, const std::string& path,
                                    const std::string& name = "input_transform") {
  return at(model, path).slot(name);
}
int count_quantizers(const Module& model) {
  int count = 0;
  for (const auto& [name, module] : model.named_modules()) count += dynamic_cast<FakeQuantizer*>(module) != nullptr;
  return count;
}
Tensor pictures(const Shape& shape, std::uint64_t seed = 1) {
  Tensor t(shape);
  Random random(seed, Purpose::test);
  for (float& x : t.span<float>()) x = static_cast<float>(random.uniform(-1, 1));
  return t;
}
bool is_unsigned(const std::shared_ptr<nn::Transform>& quantizer) { return quantizer->params()->is_unsigned(); }

class MobileNet : public testing::Test {
 protected:
  std::shared_ptr<Module> prepared(Scheme scheme) {
    nn::MobileNetV1Options options;
    options.scale = 0.25;
    auto net = nn::mobilenet_v1(options);
    QuantConfig config;
    config.scheme = scheme;
    prepare(*net, {1, 32, 32, 3}, config);
    net->train();
    NoGrad no_grad;
    (*net)(Variable(pictures({2, 32, 32, 3})));
    return net;
  }
};

TEST_F(MobileNet, OctetHasOneQuantizerPerValueAndWeight) {
  auto net = prepared(Scheme::octet);
  // 28 layer inputs and the pool's, 28 weights.
  EXPECT_EQ(count_quantizers(*net), 29 + 28);
  const auto picture = slot(*net, "conv1.conv");
  EXPECT_NE(dynamic_cast<FixedQuantizer*>(picture.get()), nullptr);
  EXPECT_EQ(picture->params()->scale[0], 1.0f / 127.0f);
  EXPECT_FALSE(is_unsigned(picture));
  EXPECT_TRUE(is_unsigned(slot(*net, "blocks.0.dw.conv")));
  EXPECT_TRUE(is_unsigned(slot(*net, "fc"))) << "an average of non-negative values";
  EXPECT_NE(dynamic_cast<ShiftRounder*>(slot(*net, "blocks.3.pw.bn", "affine_transform").get()), nullptr);
  EXPECT_NE(dynamic_cast<ShiftRounder*>(slot(*net, "fc", "bias_transform").get()), nullptr);
}

TEST_F(MobileNet, TensorrtIsSigned) {
  auto net = prepared(Scheme::tensorrt);
  for (const auto& [name, module] : net->named_modules())
    if (auto* quantizer = dynamic_cast<FakeQuantizer*>(module)) {
      EXPECT_FALSE(quantizer->params()->is_unsigned()) << name;
      EXPECT_EQ(quantizer->params()->zero_point, 0) << name;
    }
}

TEST_F(MobileNet, PaddleQuantizesLayersAlone) {
  auto net = prepared(Scheme::paddle);
  EXPECT_EQ(count_quantizers(*net), 28 + 28);
  EXPECT_EQ(slot(*net, "pool"), nullptr);
  EXPECT_EQ(slot(*net, "blocks.3.pw.bn", "affine_transform"), nullptr);
  EXPECT_EQ(slot(*net, "fc", "bias_transform"), nullptr);
  EXPECT_EQ(slot(*net, "conv1.conv")->params()->rule, QuantRule::paddle);
}

TEST_F(MobileNet, CheckpointCarriesTheQuantizers) {
  auto net = prepared(Scheme::octet);
  nn::MobileNetV1Options options;
  options.scale = 0.25, options.seed = 9;
  auto other = nn::mobilenet_v1(options);
  prepare(*other, {1, 32, 32, 3}, {});
  other->load_state(net->state());
  net->eval(), other->eval();
  NoGrad no_grad;
  const Variable x(pictures({2, 32, 32, 3}, 5));
  const Tensor a = (*net)(x).value(), b = (*other)(x).value();
  for (std::int64_t i = 0; i < a.numel(); ++i) ASSERT_EQ(a.at(i), b.at(i));
}

TEST_F(MobileNet, RemoveGivesTheFloatNetBack) {
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  auto net = nn::mobilenet_v1(options);
  const auto before = net->state();
  prepare(*net, {1, 32, 32, 3}, {});
  EXPECT_TRUE(is_prepared(*net));
  EXPECT_ERROR(prepare(*net, {1, 32, 32, 3}, {}), "has quantizers already");
  remove_quantizers(*net);
  EXPECT_FALSE(is_prepared(*net));
  EXPECT_EQ(net->state().size(), before.size());
  prepare(*net, {1, 32, 32, 3}, {});
}

TEST_F(MobileNet, LayersMayHaveBitsOfTheirOwn) {
  auto net = nn::mobilenet_v1({.scale = 0.25});
  QuantConfig config;
  config.weight_bits = config.activation_bits = 4;
  config.layer_bits = {{"conv1.conv", 8, 8}, {"blocks.*.dw.conv", 6, 0}, {"blocks.2.dw.conv", 0, 7}, {"fc", 8, 8}};
  prepare(*net, {1, 32, 32, 3}, config);
  net->train();
  NoGrad no_grad;
  (*net)(Variable(pictures({2, 32, 32, 3})));
  const auto top = [&](const char* path, const char* name) { return slot(*net, path, name)->params()->hi; };
  EXPECT_EQ(top("conv1.conv", "weight_transform"), 127);
  EXPECT_EQ(top("conv1.conv", "input_transform"), 127) << "the picture keeps eight bits";
  EXPECT_EQ(top("blocks.0.dw.conv", "weight_transform"), 31);
  EXPECT_EQ(top("blocks.0.dw.conv", "input_transform"), 15);
  EXPECT_EQ(top("blocks.2.dw.conv", "weight_transform"), 31);
  EXPECT_EQ(top("blocks.2.dw.conv", "input_transform"), 127);
  EXPECT_EQ(top("blocks.0.pw.conv", "weight_transform"), 7);
  EXPECT_EQ(top("fc", "weight_transform"), 127);
  EXPECT_EQ(top("fc", "input_transform"), 255);

  auto other = nn::mobilenet_v1({.scale = 0.25});
  config.layer_bits = {{"fc", 8, 8}, {"conv2.*", 4, 4}};
  EXPECT_ERROR(prepare(*other, {1, 32, 32, 3}, config),
               "layer_bits names 'conv2.*', which is no quantized layer ---> HINT known: ");
}

TEST_F(MobileNet, FirstAndLastLayerMayKeepTheirBits) {
  const auto prepared = [](const QuantConfig& config) {
    auto net = nn::mobilenet_v1({.scale = 0.25});
    prepare(*net, {1, 32, 32, 3}, config);
    net->train();
    NoGrad no_grad;
    (*net)(Variable(pictures({2, 32, 32, 3})));
    return net;
  };
  const auto top = [&](nn::Module& net, const char* path, const char* name) {
    return slot(net, path, name)->params()->hi;
  };
  QuantConfig config;
  config.weight_bits = config.activation_bits = 4, config.first_last_bits = 8;
  const auto net = prepared(config);
  EXPECT_EQ(top(*net, "conv1.conv", "weight_transform"), 127);
  EXPECT_EQ(top(*net, "blocks.0.dw.conv", "weight_transform"), 7);
  EXPECT_EQ(top(*net, "blocks.0.dw.conv", "input_transform"), 15);
  EXPECT_EQ(top(*net, "blocks.12.pw.conv", "weight_transform"), 7);
  EXPECT_EQ(top(*net, "fc", "weight_transform"), 127);
  EXPECT_EQ(top(*net, "fc", "input_transform"), 255);
  config.layer_bits = {{"fc", 6, 0}};
  EXPECT_EQ(top(*prepared(config), "fc", "weight_transform"), 31) << "an entry of its own counts";
  config.quantizable_layer_type = {"Conv2D"}, config.layer_bits.clear();
  EXPECT_EQ(top(*prepared(config), "blocks.12.pw.conv", "weight_transform"), 127) << "the last one that is quantized";
  config.scheme = Scheme::paddle;
  EXPECT_EQ(top(*prepared(config), "conv1.conv", "input_transform"), 127)
      << "where the picture has the bits of the layer";
}

TEST(Prepare, ASharedValueHasTheMostBitsThatIsAskedFor) {
  auto net = nn::small_resnet({});
  QuantConfig config;
  config.activation_bits = 4;
  config.layer_bits = {{"features.1.first.conv", 0, 6}};  // reads the stem's value, as the first block's add does
  prepare(*net, {1, 16, 16, 3}, config);
  net->train();
  NoGrad no_grad;
  (*net)(Variable(pictures({2, 16, 16, 3})));
  EXPECT_EQ(slot(*net, "features.1.first.conv")->params()->hi, 63);
  EXPECT_EQ(slot(*net, "features.1.first.conv"), slot(*net, "features.1.add", "rhs_transform"));
  EXPECT_EQ(slot(*net, "features.1.second.conv")->params()->hi, 15);
}

TEST(Prepare, ResidualsShareTheQuantizerOfTheirValue) {
  auto net = nn::small_resnet({});
  prepare(*net, {1, 16, 16, 3}, {});
  // The stem's value: read by the first block's convolution and by its add.
  EXPECT_EQ(slot(*net, "features.1.first.conv"), slot(*net, "features.1.add", "rhs_transform"));
  EXPECT_NE(slot(*net, "features.1.add", "lhs_transform"), slot(*net, "features.1.add", "rhs_transform"));
  // A projection and the first convolution read the same value.
  EXPECT_EQ(slot(*net, "features.2.first.conv"), slot(*net, "features.2.shortcut.conv"));
  net->train();
  NoGrad no_grad;
  (*net)(Variable(pictures({2, 16, 16, 3})));
  EXPECT_TRUE(is_unsigned(slot(*net, "features.2.first.conv")));
  EXPECT_FALSE(is_unsigned(slot(*net, "features.2.add", "lhs_transform")));
}

/// Two branches that are joined, pooled by maximum and by average.
class Branches : public Module {
 public:
  explicit Branches(ops::Activation second) {
    a_ = register_module("a",
                         std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{3, 4, 3, 3, 1, 1}, ops::Activation::relu));
    b_ = register_module("b", std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{3, 5, 1, 1, 1, 0}, second));
    join_ = register_module("join", std::make_shared<nn::Concat>());
    max_ = register_module("max", std::make_shared<nn::MaxPool2d>(ops::Pool2dArgs{}));
    after_ = register_module(
        "after", std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{9, 6, 3, 3, 1, 1}, ops::Activation::relu6));
    avg_ = register_module("avg", std::make_shared<nn::AvgPool2d>(ops::Pool2dArgs{}));
    flatten_ = register_module("flatten", std::make_shared<nn::Flatten>());
    fc_ = register_module("fc", std::make_shared<nn::Linear>(6 * 2 * 2, 3));
  }
  std::string kind() const override { return "Branches"; }
  Variable forward(const Variable& src) override {
    const Variable joined = (*max_)((*join_)({(*a_)(src), (*b_)(src)}));
    return (*fc_)((*flatten_)((*avg_)((*after_)(joined))));
  }

 private:
  std::shared_ptr<nn::ConvBnAct> a_, b_, after_;
  std::shared_ptr<nn::Concat> join_;
  std::shared_ptr<nn::MaxPool2d> max_;
  std::shared_ptr<nn::AvgPool2d> avg_;
  std::shared_ptr<nn::Flatten> flatten_;
  std::shared_ptr<nn::Linear> fc_;
};

TEST(Prepare, ConcatIsUnsignedOnlyWhenAllItsPartsAre) {
  for (auto act : {ops::Activation::relu, ops::Activation::none}) {
    Branches net(act);
    prepare(net, {1, 8, 8, 3}, {});
    net.train();
    NoGrad no_grad;
    net(Variable(pictures({2, 8, 8, 3})));
    EXPECT_EQ(is_unsigned(slot(net, "after.conv")), act == ops::Activation::relu);
    EXPECT_EQ(slot(net, "a.conv"), slot(net, "b.conv"));
    EXPECT_NE(slot(net, "avg"), slot(net, "fc")) << "an average has a scale of its own";
  }
}

/// One convolution that runs twice: on its own raw output, then on a rectified one.
class Twice : public Module {
 public:
  Twice() {
    first_ = register_module("first", std::make_shared<nn::Conv2d>(nn::Conv2dOptions{3, 4, 3, 3, 1, 1}));
    twice_ = register_module("twice", std::make_shared<nn::Conv2d>(nn::Conv2dOptions{4, 4, 3, 3, 1, 1}));
  }
  std::string kind() const override { return "Twice"; }
  Variable forward(const Variable& src) override {
    return ops::flatten((*twice_)(ops::relu((*twice_)((*first_)(src)))));
  }

 private:
  std::shared_ptr<nn::Conv2d> first_, twice_;
};

TEST(Prepare, LayerThatRunsTwiceHasOneQuantizerForBothValues) {
  Twice net;
  prepare(net, {1, 5, 5, 3}, {});
  net.train();
  NoGrad no_grad;
  net(Variable(pictures({2, 5, 5, 3})));
  EXPECT_FALSE(is_unsigned(slot(net, "twice"))) << "one of its values may be negative";
}

TEST(Prepare, LayerTypesChooseWhatIsQuantized) {
  Branches net(ops::Activation::relu);
  QuantConfig config;
  config.quantizable_layer_type = {"Linear"};
  prepare(net, {1, 8, 8, 3}, config);
  EXPECT_EQ(slot(net, "a.conv"), nullptr);
  EXPECT_EQ(slot(net, "a.conv", "weight_transform"), nullptr);
  EXPECT_EQ(slot(net, "a.bn", "affine_transform"), nullptr);
  EXPECT_NE(slot(net, "fc", "weight_transform"), nullptr);
}

TEST(Prepare, FuseFoldsBatchNormsBeforeTraining) {
  Branches net(ops::Activation::none);
  net.train();
  {
    NoGrad no_grad;
    net(Variable(pictures({4, 8, 8, 3})));
  }
  net.eval();
  const Variable x(pictures({2, 8, 8, 3}, 2));
  const Tensor before = net(x).value();
  QuantConfig config;
  config.fuse_conv_bn = true;
  prepare(net, {1, 8, 8, 3}, config);
  EXPECT_TRUE(dynamic_cast<nn::BatchNorm2d&>(at(net, "a.bn")).folded());
  for (const auto& [name, parameter] : net.named_parameters()) EXPECT_EQ(name.find("gamma"), std::string::npos) << name;
  const nn::TransformBypass bypass;
  const Tensor after = net(x).value();
  for (std::int64_t i = 0; i < before.numel(); ++i) EXPECT_NEAR(before.at(i), after.at(i), 1e-5);
  EXPECT_NE(slot(net, "a.conv", "bias_transform"), nullptr);
}

TEST(Prepare, MethodsFillTheSlots) {
  QuantConfig config;
  config.activation_quantize_type = ActivationQuantize::lsq;
  config.weight_quantize_type = WeightQuantize::channel_wise_lsq;
  Branches net(ops::Activation::relu);
  prepare(net, {1, 8, 8, 3}, config);
  EXPECT_NE(dynamic_cast<LearnedStepQuantizer*>(slot(net, "fc").get()), nullptr);
  EXPECT_NE(dynamic_cast<LearnedStepQuantizer*>(slot(net, "fc", "weight_transform").get()), nullptr);
  EXPECT_NE(dynamic_cast<FixedQuantizer*>(slot(net, "a.conv").get()), nullptr);
  bool found = false;
  for (const auto& [name, parameter] : net.named_parameters()) found = found || name == "fc.weight_transform.step";
  EXPECT_TRUE(found);
}

TEST(Prepare, RefusesANetWithoutLayersToQuantize) {
  nn::Sequential net({std::make_shared<nn::Flatten>()});
  EXPECT_ERROR(prepare(net, {1, 4, 4, 3}, {}), "no layer to quantize");
}

}  // namespace
}  // namespace octet::quant
