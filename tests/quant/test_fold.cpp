#include "quant/deployment/fold.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

QuantParams grid(std::vector<float> scale, std::int32_t lo = -127) {
  QuantParams params;
  params.axis = scale.size() > 1 ? 0 : -1;
  params.scale = std::move(scale);
  params.lo = lo;
  return params;
}

/// Two channels of two weights; scales 0.01 and 0.02, input step 0.1.
FoldInput two_channels(std::vector<float> affine) {
  FoldInput in;
  in.weight = Tensor::from<float>({2, 2}, std::vector<float>{1.27f, -0.5f, 2.54f, 1});
  in.weight_grid = grid({0.01f, 0.02f});
  in.input_grid = grid({0.1f}, -128);
  if (!affine.empty()) in.affine = Tensor::from<float>({2, 2}, affine);
  return in;
}
std::vector<int> codes_of(const FoldedLayer& layer) {
  const auto span = layer.codes.span<std::int8_t>();
  return {span.begin(), span.end()};
}

TEST(Fold, WithoutBatchNormItIsTheWeightsGrid) {
  FoldInput in = two_channels({});
  in.bias = Tensor::from<float>({2}, std::vector<float>{0.0104f, -1});
  const FoldedLayer layer = fold(in, "conv");
  EXPECT_EQ(codes_of(layer), (std::vector<int>{127, -50, 127, 50}));
  EXPECT_EQ(layer.step, (std::vector<float>{0.01f, 0.02f}));
  EXPECT_EQ(layer.bias, (std::vector<std::int32_t>{10, -500}));
  EXPECT_TRUE(layer.notes.empty());
}

TEST(Fold, BatchNormScalesTheStepAndLeavesTheCodes) {
  const FoldedLayer layer = fold(two_channels({3, 0.5f, 0.3f, -0.02f}), "conv");
  EXPECT_EQ(codes_of(layer), (std::vector<int>{127, -50, 127, 50}));
  EXPECT_EQ(layer.step, (std::vector<float>{0.01f * 3, 0.02f * 0.5f}));
  EXPECT_EQ(layer.bias, (std::vector<std::int32_t>{100, -20}));
}

TEST(Fold, NegativeGammaFlipsTheCodes) {
  FoldInput in = two_channels({3, -0.5f, 0.3f, -0.02f});
  in.bias = Tensor::from<float>({2}, std::vector<float>{0.01f, 0.01f});
  const FoldedLayer layer = fold(in, "conv");
  EXPECT_EQ(codes_of(layer), (std::vector<int>{127, -50, -127, -50}));
  EXPECT_EQ(layer.step, (std::vector<float>{0.01f * 3, 0.02f * 0.5f}));
  // The layer's own bias, 10 and 5 steps of s_x·s_w, changes sign with the channel.
  EXPECT_EQ(layer.bias, (std::vector<std::int32_t>{110, -25}));
}

TEST(Fold, FloatBiasStaysFloat) {
  FoldInput in = two_channels({3, -0.5f, 0.3f, -0.02f});
  in.bias = Tensor::from<float>({2}, std::vector<float>{0.5f, 0.5f});
  in.float_bias = true;
  const FoldedLayer layer = fold(in, "conv");
  EXPECT_TRUE(layer.bias.empty());
  EXPECT_FLOAT_EQ(layer.float_bias[0], 1.8f);
  EXPECT_FLOAT_EQ(layer.float_bias[1], -0.27f);
}

TEST(Fold, DeadGammaBecomesAConstant) {
  const FoldedLayer layer = fold(two_channels({0, 1, 0.3f, 0}), "conv");
  EXPECT_EQ(codes_of(layer), (std::vector<int>{0, 0, 127, 50}));
  ASSERT_EQ(layer.notes.size(), 1u);
  EXPECT_EQ(layer.notes[0].channel, 0);
  EXPECT_NEAR(static_cast<double>(layer.bias[0]) * 0.1f * layer.step[0], 0.3, 1e-6);
  EXPECT_LE(std::abs(layer.bias[0]), 1 << 30);
}

TEST(Fold, DeadGammaWithoutShiftIsNothing) {
  const FoldedLayer layer = fold(two_channels({0, 1, 0, 0}), "conv");
  EXPECT_EQ(layer.bias[0], 0);
  EXPECT_GE(layer.step[0], kMinScale);
}

TEST(Fold, HugeBiasCoarsensTheStep) {
  // 0.3 in steps of 0.1 · 1e-11 is 3e11, far above 2^30.
  const FoldedLayer layer = fold(two_channels({1e-9f, 1, 0.3f, 0}), "conv");
  ASSERT_EQ(layer.notes.size(), 1u);
  EXPECT_LE(std::abs(static_cast<double>(layer.bias[0])), 1073741824.0);
  EXPECT_NEAR(static_cast<double>(layer.bias[0]) * 0.1f * layer.step[0], 0.3, 1e-6);
  // Mildly too large: codes are rounded again, not lost.
  const FoldedLayer mild = fold(two_channels({1e-6f, 1, 3, 0}), "conv");
  ASSERT_EQ(mild.notes.size(), 1u);
  EXPECT_NEAR(mild.codes.at(0), 127 * 1e-8 / mild.step[0], 0.5);
  EXPECT_GT(mild.codes.at(0), 0);
}

TEST(Fold, TinyScalesStayAwayFromSubnormals) {
  FoldInput in = two_channels({1e-30f, 1, 0, 0});
  in.input_grid = grid({kMinScale}, -128);
  in.output_grid = grid({1e6f}, -128);
  const FoldedLayer layer = fold(in, "conv");
  const float product = in.input_grid.step() * layer.step[0];
  EXPECT_GT(product / in.output_grid->step(), std::numeric_limits<float>::min());
}

TEST(Fold, AccumulatorIsProved) {
  FoldInput in;
  in.weight = Tensor::full({1, 140000}, 1);
  in.weight_grid = grid({1.0f / 127});
  in.input_grid = grid({0.1f}, -128);
  EXPECT_ERROR(fold(in, "wide"), "wide: channel 0 may accumulate 2275840000, which 32 bits do not hold");
}

TEST(Fold, RefusesWhatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_ERROR(fold(two_channels({1, nan, 0, 0}), "conv7"), "conv7: batch norm's scale of channel 1 is nan");
  EXPECT_ERROR(fold(two_channels({1, 1, 0, std::numeric_limits<float>::infinity()}), "conv7"),
               "batch norm's shift of channel 1 is inf");
  FoldInput in = two_channels({});
  in.weight.data<float>()[0] = nan;
  EXPECT_ERROR(fold(in, "conv7"), "a weight of channel 0 is nan ---> HINT");
}

}  // namespace
}  // namespace octet::quant
