// Weights whose grids end below their largest value, and which gradients pass quantizers.
#include <gtest/gtest.h>

#include "quant/quantizers/fake_quantizer.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

std::vector<float> list(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.numel()}; }
Variable row(const std::vector<float>& x, bool needs_gradient = false) {
  return Variable(Tensor::from(Shape{1, static_cast<std::int64_t>(x.size())}, x), needs_gradient);
}
Grid weight_grid(QuantRule rule = QuantRule::onnx, int bits = 8) {
  Grid grid;
  grid.bits = bits, grid.narrow = true, grid.rule = rule;
  return grid;
}
/// Rows 1 … 10 and −20, 20 … 200 in steps of 20 (with alternating signs).
Variable two_channels(DType dtype = DType::f32) {
  std::vector<float> w;
  for (int i = 1; i <= 10; ++i) w.push_back(static_cast<float>(i));
  for (int i = 1; i <= 10; ++i) w.push_back(static_cast<float>(i % 2 == 0 ? 20 * i : -20 * i));
  return Variable(Tensor::from(Shape{2, 10}, w).to(dtype), true);
}
std::vector<float> thresholds_of(const WeightRange& range, const Variable& weight, int bits = 8) {
  return values_of(thresholds(range, weight.value(), weight_grid(QuantRule::onnx, bits).bounds()));
}

TEST(WeightRange, PercentileKeepsItsShare) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Variable w = two_channels(dtype);
    EXPECT_EQ(thresholds_of({true, Clipping::percentile, 90}, w), (std::vector<float>{9, 180}));
    EXPECT_EQ(thresholds_of({true, Clipping::percentile, 90.01}, w), (std::vector<float>{10, 200}));
    EXPECT_EQ(thresholds_of({false, Clipping::percentile, 90}, w), (std::vector<float>{160}));
    EXPECT_EQ(thresholds_of({true, Clipping::percentile, 100}, w), thresholds_of({}, w));
  }
  // 99.9 % of 1000 is no whole number of values in binary; it means 999 of them.
  std::vector<float> thousand;
  for (int i = 1; i <= 1000; ++i) thousand.push_back(static_cast<float>(i));
  EXPECT_EQ(thresholds_of({true, Clipping::percentile, 99.9}, row(thousand)), (std::vector<float>{999}));
}

TEST(WeightRange, MseClipsWhatCostsMoreThanItGains) {
  // Two bits: codes −1, 0, 1. Of {1 × 9, 3}, a threshold t near 1 loses 9·(1 − t)² + (3 − t)², least at t = 1.2.
  const std::vector<float> t = thresholds_of({true, Clipping::mse}, row({1, 1, -1, 1, 1, 1, -1, 1, 1, 3}), 2);
  EXPECT_NEAR(t[0], 1.2, 3.0 / 128);
  EXPECT_EQ(thresholds_of({true, Clipping::mse}, row({0, 0})), (std::vector<float>{0}));
  EXPECT_EQ(thresholds_of({true, Clipping::mse}, row({2, -2, 0}), 2), (std::vector<float>{2}))
      << "the largest of equals";
}

TEST(WeightRange, FollowsFromTheConfiguration) {
  QuantConfig config;
  config.weight_percentile = 99;
  config.weight_quantize_type = WeightQuantize::percentile;
  EXPECT_FALSE(weight_range(config).per_channel);
  EXPECT_EQ(weight_range(config).percentile, 99);
  config.weight_quantize_type = WeightQuantize::channel_wise_mse;
  EXPECT_TRUE(weight_range(config).per_channel);
  EXPECT_EQ(weight_range(config).clipping, Clipping::mse);
}

TEST(WeightQuantizer, RoundsOnTheGridOfItsThreshold) {
  WeightQuantizer quantizer(weight_grid(QuantRule::onnx, 4), {true, Clipping::percentile, 70});
  const Variable w = two_channels();
  const std::vector<float> y = list(quantizer.apply(w).value());
  EXPECT_EQ(quantizer.params()->scale, (std::vector<float>{1, 20}));
  EXPECT_EQ(y[2], 3);
  EXPECT_EQ(y[9], 7) << "clipped";
  EXPECT_EQ(y[18], -140);
  EXPECT_EQ(quantizer.codes()->codes.at(19), 7);
  EXPECT_EQ(quantizer.params_for(w.value()), quantizer.params());
  const Variable lost = row({1, std::numeric_limits<float>::infinity()});
  EXPECT_ERROR(WeightQuantizer(weight_grid(), {true, Clipping::percentile, 50}).apply(lost), "training diverged");
}

std::vector<float> weight_gradient(QuantRule rule, const WeightRange& range, Ste ste) {
  WeightQuantizer quantizer(weight_grid(rule), range, nullptr, ste);
  const Variable w = row({1, 2, 3, -4, 1000}, true);
  quantizer.apply(w).backward(Tensor::full({1, 5}, 1));
  return list(w.grad());
}

TEST(Ste, WeightsBeyondTheirThreshold) {
  const WeightRange clipped{true, Clipping::percentile, 80}, whole{};
  const std::vector<float> all{1, 1, 1, 1, 1}, inside{1, 1, 1, 1, 0};
  EXPECT_EQ(weight_gradient(QuantRule::onnx, clipped, Ste::scheme), inside);
  EXPECT_EQ(weight_gradient(QuantRule::paddle, clipped, Ste::scheme), all);
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    EXPECT_EQ(weight_gradient(rule, clipped, Ste::masked), inside);
    EXPECT_EQ(weight_gradient(rule, clipped, Ste::plain), all);
    EXPECT_EQ(weight_gradient(rule, whole, Ste::masked), all) << "an abs-max clips nothing";
  }
}

// Element-wise gradient scaling: g·(1 + δ·sign(g)·(x − x_q) / step) where x lies inside, nothing where it is clipped.
TEST(Ste, EwgsScalesByTheDistanceFromTheGrid) {
  const std::vector<float> x{0.25f, 1.5f, -0.75f, 2, 20, -20}, g{1, -2, 3, -4, 5, 6};
  const auto gradient = [&](FakeQuantizer& quantizer) {
    const Variable v = row(x, true);
    quantizer.apply(v).backward(Tensor::from(Shape{1, 6}, g));
    return list(v.grad());
  };
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    Grid grid;
    grid.bits = 4, grid.narrow = true, grid.rule = rule;  // 14 as largest: steps of 2
    ActivationQuantizer activation(grid, std::make_shared<AbsMaxObserver>(), nullptr, {Ste::ewgs, 0.5});
    activation.apply(row({14}));
    activation.eval();
    // Codes 0, 1 (of 0.75), 0 (of −0.375), 1: distances 0.125, −0.25, −0.375, 0.
    const std::vector<float> inside{1 + 0.5f * 0.125f, -2 + 0.5f * 2 * -0.25f, 3 + 0.5f * 3 * -0.375f, -4};
    std::vector<float> got = gradient(activation);
    for (std::size_t i = 0; i < inside.size(); ++i) EXPECT_FLOAT_EQ(got[i], inside[i]) << i;
    EXPECT_EQ(got[4], 0);
    EXPECT_EQ(got[5], 0);
    EXPECT_FALSE(activation.defer({}, Device::cpu)) << "no fused operation scales gradients";
  }
  WeightQuantizer weight(weight_grid(), {}, nullptr, {Ste::ewgs, 0.5});
  const std::vector<float> got = gradient(weight);
  EXPECT_EQ(got[4], 5) << "the largest weight is a code, and an abs-max clips nothing";
  EXPECT_NE(got[0], 1);
}

TEST(Ste, ActivationsBeyondTheGrid) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle})
    for (const Ste ste : {Ste::scheme, Ste::masked, Ste::plain}) {
      Grid grid;
      grid.rule = rule;
      ActivationQuantizer quantizer(grid, std::make_shared<AbsMaxObserver>(), nullptr, ste);
      quantizer.apply(row({10}));
      quantizer.eval();
      const Variable x = row({1, 20, -5}, true);
      quantizer.apply(x).backward(Tensor::full({1, 3}, 1));
      const bool masked = ste == Ste::scheme ? rule == QuantRule::onnx : ste == Ste::masked;
      EXPECT_EQ(list(x.grad()), (std::vector<float>{1, masked ? 0.0f : 1.0f, 1}));
      // What a fused operation is told.
      const auto left = quantizer.defer({}, Device::cpu);
      ASSERT_EQ(left.has_value(), rule == QuantRule::onnx);
      if (left) {
        EXPECT_EQ(left->masked, masked);
      }
    }
}

}  // namespace
}  // namespace octet::quant
