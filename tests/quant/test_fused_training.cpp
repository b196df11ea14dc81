// Quantization-aware training, fused and decomposed. In floats: the same bits. With the integer forward: each layer's
// integers are exact, what differs is the rounding of their sums to floats.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nn/models.h"
#include "optim/momentum.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/support/fusion_form.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using ops::Fusion;
using test::kReferenceConvBnRows;
using test::random_f32;

constexpr std::int64_t kPixels = 12;

struct Outcome {
  std::vector<double> losses;
  Tensor evaluated;
  std::uint32_t state = 0;
};

Outcome train(nn::Module& net, Fusion fusion, const char* rows, int steps = 3) {
  const test::FusionForm form(fusion, rows);
  const Tensor x = random_f32({6, kPixels, kPixels, 3}, 3),
               labels = Tensor::from<std::int32_t>({6}, std::vector<std::int32_t>{0, 1, 2, 3, 4, 5});
  optim::Momentum optimizer(net.named_parameters(), {.lr = 0.003});
  Outcome made;
  for (int step = 0; step < steps; ++step) {
    net.train();
    optimizer.zero_grad();
    const Variable loss = ops::softmax_cross_entropy(net(Variable(x)), labels);
    made.losses.push_back(loss.value().item());
    loss.backward();
    optimizer.step();
  }
  net.eval();
  made.evaluated = net(Variable(x)).value();
  made.state = test::state_crc(net.state());
  return made;
}

std::shared_ptr<nn::Module> mobilenet(const QuantConfig& config) {
  auto net = nn::mobilenet_v1({.scale = 0.0625, .variant = nn::Variant::cifar});
  prepare(*net, {1, kPixels, kPixels, 3}, config);
  return net;
}

struct Variant {
  const char* name;
  QuantConfig config;
};
QuantConfig config_of(const std::function<void(QuantConfig&)>& set) {
  QuantConfig config;
  set(config);
  return config;
}
std::vector<Variant> variants() {
  return {{"octet", {}},
          {"octet, 4 bits", config_of([](auto& c) { c.weight_bits = c.activation_bits = 4; })},
          {"octet, affine activations",
           config_of([](auto& c) { c.activation_quantize_type = ActivationQuantize::min_max; })},
          {"octet, per tensor", config_of([](auto& c) { c.weight_quantize_type = WeightQuantize::abs_max; })},
          {"octet, MSE weights, plain gradients", config_of([](auto& c) {
             c.weight_quantize_type = WeightQuantize::channel_wise_mse, c.weight_bits = 4, c.ste = Ste::plain;
           })},
          {"octet, percentile weights",
           config_of([](auto& c) { c.weight_quantize_type = WeightQuantize::percentile, c.weight_percentile = 99; })},
          {"octet, EWGS", config_of([](auto& c) { c.ste = Ste::ewgs, c.weight_bits = c.activation_bits = 4; })},
          {"octet, SAWB, powers of two", config_of([](auto& c) {
             c.weight_quantize_type = WeightQuantize::sawb, c.activation_power_of_two = c.weight_power_of_two = true;
           })},
          {"octet, DoReFa", config_of([](auto& c) {
             c.weight_preprocess_type = Preprocess::dorefa, c.activation_quantize_type = ActivationQuantize::dorefa;
           })},
          {"octet, KL", config_of([](auto& c) {
             c.activation_quantize_type = ActivationQuantize::kl, c.weight_quantize_type = WeightQuantize::kl;
           })},
          {"octet, affine activations by percentile", config_of([](auto& c) {
             c.activation_quantize_type = ActivationQuantize::percentile, c.activation_affine = true;
           })},
          {"octet, affine extremes", config_of([](auto& c) {
             c.activation_quantize_type = ActivationQuantize::abs_max, c.activation_affine = true;
           })},
          {"octet, depthwise alone", config_of([](auto& c) { c.quantizable_layer_type = {"DepthwiseConv2D"}; })},
          {"octet, fuse_conv_bn", config_of([](auto& c) { c.fuse_conv_bn = true; })},
          {"octet, batch norm folded", config_of([](auto& c) { c.batch_norm = BatchNormMode::folded; })},
          {"octet, batch norm folded per tensor", config_of([](auto& c) {
             c.batch_norm = BatchNormMode::folded;
             c.weight_quantize_type = WeightQuantize::abs_max;
           })},
          {"octet, PACT",
           config_of([](auto& c) { c.activation_preprocess_type = c.weight_preprocess_type = Preprocess::pact; })},
          {"octet, LSQ", config_of([](auto& c) {
             c.weight_quantize_type = WeightQuantize::channel_wise_lsq;
             c.activation_quantize_type = ActivationQuantize::lsq;
           })},
          {"octet, LSQ+", config_of([](auto& c) {
             c.activation_quantize_type = ActivationQuantize::lsq, c.activation_affine = true;
           })},
          {"paddle", config_of([](auto& c) { c.scheme = Scheme::paddle; })},
          {"tensorrt", config_of([](auto& c) { c.scheme = Scheme::tensorrt; })}};
}

TEST(FusedQat, FloatsGiveTheSameBits) {
  for (const auto& [name, config] : variants()) {
    const Outcome decomposed = train(*mobilenet(config), Fusion::off, "");
    EXPECT_NE(decomposed.losses.back(), decomposed.losses.front()) << name;
    for (const char* rows : {kReferenceConvBnRows, ""}) {
      const Outcome fused = train(*mobilenet(config), Fusion::floats, rows);
      EXPECT_EQ(fused.losses, decomposed.losses) << name << " " << rows;
      EXPECT_TRUE(test::same_bits(fused.evaluated, decomposed.evaluated)) << name << " " << rows;
      EXPECT_EQ(fused.state, decomposed.state) << name << " " << rows;
    }
  }
}

TEST(FusedQat, SmallResNetGivesTheSameBits) {
  const auto net = [] {
    auto made = nn::small_resnet({.width = 8});
    prepare(*made, {1, kPixels, kPixels, 3}, {});
    return made;
  };
  EXPECT_EQ(train(*net(), Fusion::floats, kReferenceConvBnRows).state, train(*net(), Fusion::off, "").state);
}

/// Does the integer forward differ? Where steps are powers of two, floats hold the products and sums of codes exactly.
bool runs_in_integers(const Variant& variant) {
  const QuantConfig& c = variant.config;
  const bool watches_values =
      clips(c.activation_quantize_type) && c.activation_quantize_type != ActivationQuantize::dorefa;
  return !c.activation_power_of_two && c.scheme != Scheme::paddle && !c.fuse_conv_bn &&
         c.activation_preprocess_type == Preprocess::none && !is_learned(c.activation_quantize_type) &&
         !watches_values && c.ste != Ste::ewgs && c.quantizable_layer_type.size() == 2;
}

// A layer's sums differ by K·ε, so a code behind them may fall on the other side of a tie; a dozen layers on, with six
// pictures to normalise over, whole nets agree closely for a step, not to the bit.
TEST(FusedQat, IntegerForwardStartsTheSameTraining) {
  for (const Variant& variant : variants()) {
    const Outcome floats = train(*mobilenet(variant.config), Fusion::floats, kReferenceConvBnRows, 2);
    const Outcome integers = train(*mobilenet(variant.config), Fusion::integers, kReferenceConvBnRows, 2);
    EXPECT_EQ(integers.state != floats.state, runs_in_integers(variant)) << variant.name;
    EXPECT_NEAR(integers.losses[0], floats.losses[0], 0.05 * floats.losses[0]) << variant.name;
    for (const double loss : integers.losses) EXPECT_TRUE(std::isfinite(loss)) << variant.name;
  }
}

Tensor raw_output(nn::ConvBnAct& block, const ops::Deferred& src, Fusion fusion) {
  const test::FusionForm form(fusion);
  return block(src).z.value();
}

// Every layer of a trained net on the very source that the integer net gives it: equal where it runs in floats, within
// rounding where it runs in integers.
TEST(FusedQat, EachLayerOfTheIntegerNetIsWithinRounding) {
  const auto net = mobilenet({});
  train(*net, Fusion::integers, "", 3);
  const test::FusionForm form(Fusion::integers, kReferenceConvBnRows);
  NoGrad no_grad;
  ops::Deferred x;
  x.z = Variable(random_f32({6, kPixels, kPixels, 3}, 8));
  int in_integers = 0;
  for (const auto& [name, module] : net->named_modules()) {
    auto* block = dynamic_cast<nn::ConvBnAct*>(module);
    if (block == nullptr) continue;
    const Tensor floats = raw_output(*block, x, Fusion::floats), integers = raw_output(*block, x, Fusion::integers);
    const bool pointwise = block->conv->options().kernel_h == 1;
    in_integers += pointwise;
    const double k = static_cast<double>(block->conv->weight.shape()[3]);
    double largest_weight = 0, largest_source = 0;
    for (const float w : block->conv->weight.value().span<float>())
      largest_weight = std::max(largest_weight, std::fabs(static_cast<double>(w)));
    for (const float v : ops::materialise(x).value().span<float>())
      largest_source = std::max(largest_source, std::fabs(static_cast<double>(v)));
    const double bound =
        pointwise ? k * std::numeric_limits<float>::epsilon() * k * largest_weight * largest_source : 0;
    for (std::int64_t i = 0; i < floats.numel(); ++i)
      ASSERT_NEAR(integers.at(i), floats.at(i), bound) << name << " " << i;
    x = (*block)(x);
  }
  EXPECT_EQ(in_integers, 13);
}

// Same weights and ranges, first step: the codes that the integer forward multiplies are the float form's weights.
TEST(FusedQat, WeightCodesAreTheFloatWeights) {
  const auto net = mobilenet({});
  train(*net, Fusion::integers, kReferenceConvBnRows, 1);
  int checked = 0;
  for (const auto& [name, module] : net->named_modules()) {
    const auto quantizer = std::dynamic_pointer_cast<WeightQuantizer>(module->slot("weight_transform"));
    auto* conv = dynamic_cast<nn::Conv2d*>(module);
    if (quantizer == nullptr || conv == nullptr) continue;
    const Tensor values = conv->transformed_weight().value();
    const auto codes = quantizer->codes();
    ASSERT_TRUE(codes.has_value()) << name;
    const std::int64_t inner = values.numel() / values.shape()[0];
    for (std::int64_t i = 0; i < values.numel(); ++i)
      ASSERT_EQ(values.data<float>()[i],
                codes->params.dequantize(codes->codes.data<std::int8_t>()[i], static_cast<std::size_t>(i / inner)))
          << name;
    ++checked;
  }
  EXPECT_EQ(checked, 27);
}

}  // namespace
}  // namespace octet::quant
