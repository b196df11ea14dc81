// Layers that can be changed one by one, and what becomes of their products.
#include "quant/calibration/single_layers.h"

#include <gtest/gtest.h>

#include "quant/calibration/products.h"
#include "quant/prepare.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using octet::test::random_f32;

TEST(SingleLayers, TheAffineMakesOfProductsWhatTheNetDoes) {
  const auto conv = std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in_channels = 3, .out_channels = 4});
  const auto bn = std::make_shared<nn::BatchNorm2d>(4);
  const auto linear = std::make_shared<nn::Linear>(4 * 5 * 5, 2);
  conv->bias.value().copy_from(random_f32({4}, 1));
  bn->gamma.value().copy_from(random_f32({4}, 2));
  bn->beta.value().copy_from(random_f32({4}, 3));
  linear->bias.value().copy_from(random_f32({2}, 4));
  nn::Sequential net({conv, bn, nn::relu(), std::make_shared<nn::Flatten>(), linear});
  const NoGrad no_grad;
  const Variable x(random_f32({6, 5, 5, 3}, 5));
  net(x);  // statistics of its own
  net.eval();
  const Drafts drafts = draft(nn::trace(net, {1, 5, 5, 3}));
  EXPECT_TRUE(single_layers(drafts).empty()) << "no quantizers";
  prepare(net, {1, 5, 5, 3}, {});
  const auto layers = single_layers(drafts);
  ASSERT_EQ(layers.size(), 2u);
  remove_quantizers(net);
  const auto made = [&](std::size_t i, const Variable& src) {
    const nn::Module& layer = *layers[i]->layer;
    const Variable products = products_of(layer, src, nn::weight_of(layer));
    return ops::affine_act(products, Variable(affine_behind(*layers[i])), layers[i]->act).value();
  };
  const Tensor wanted = ops::relu((*bn)((*conv)(x))).value(), first = made(0, x);
  ASSERT_EQ(first.shape(), wanted.shape());
  for (std::int64_t i = 0; i < wanted.numel(); ++i) EXPECT_NEAR(first.at(i), wanted.at(i), 1e-5);
  const Tensor logits = net(x).value(), last = made(1, Variable(wanted.reshape({6, 100})));
  for (std::int64_t i = 0; i < logits.numel(); ++i) EXPECT_NEAR(last.at(i), logits.at(i), 1e-4);
}

}  // namespace
}  // namespace octet::quant
