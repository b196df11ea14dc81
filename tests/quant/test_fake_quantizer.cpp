#include "quant/quantizers/fake_quantizer.h"

#include <gtest/gtest.h>

#include "ops/ops.h"
#include "quant/quantizers/learned_step.h"
#include "quant/quantizers/shift_rounder.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

Variable values(const std::vector<float>& x, bool needs_gradient = false) {
  return Variable(Tensor::from(Shape{1, static_cast<std::int64_t>(x.size())}, x), needs_gradient);
}
std::vector<float> list(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.numel()}; }

Grid grid_of(int bits, bool is_unsigned = false, bool affine = false) {
  Grid grid;
  grid.bits = bits, grid.is_unsigned = is_unsigned, grid.affine = affine;
  return grid;
}

std::shared_ptr<ActivationQuantizer> averaging(const Grid& grid, double rate = 0.9) {
  return std::make_shared<ActivationQuantizer>(grid, std::make_shared<MovingAverageAbsMaxObserver>(rate));
}

TEST(Grid, Bounds) {
  EXPECT_EQ(grid_of(8).bounds().lo, -128);
  EXPECT_EQ(grid_of(8).bounds().hi, 127);
  EXPECT_EQ(grid_of(8, true).bounds().lo, 0);
  EXPECT_EQ(grid_of(8, true).bounds().hi, 255);
  EXPECT_EQ(grid_of(4).bounds().lo, -8);
  EXPECT_EQ(grid_of(2, true).bounds().hi, 3);
  Grid narrow = grid_of(2);
  narrow.narrow = true;
  EXPECT_EQ(narrow.bounds().lo, -1);
  EXPECT_EQ(narrow.bounds().hi, 1);
}

TEST(Grid, AffineKeepsZeroExact) {
  const QuantParams grid = grid_of(8, false, true).over({-1, 3});
  EXPECT_EQ(grid.zero_point, 64);
  EXPECT_FLOAT_EQ(grid.scale[0], 4.0f / 255);
  EXPECT_EQ(grid.dequantize(grid.quantize(0)), 0);
  EXPECT_EQ(grid_of(8, false, true).over({2, 3}).zero_point, 0);
  EXPECT_EQ(grid_of(8, false, true).over({-3, -2}).zero_point, 255);
  EXPECT_EQ(grid_of(8, false, true).over({0, 0}).scale[0], kMinScale);
}

TEST(Grid, DeadValuesKeepAStep) {
  EXPECT_EQ(grid_of(8).over({0, 0}).scale[0], kMinScale);
  Grid paddle = grid_of(8);
  paddle.rule = QuantRule::paddle;
  EXPECT_GE(paddle.over({0, 0}).step(), kMinScale);
}

TEST(ActivationQuantizer, PassesThroughUntilDataWasSeen) {
  auto quantizer = averaging(grid_of(8));
  quantizer->eval();
  EXPECT_EQ(list(quantizer->apply(values({0.1234f})).value()), (std::vector<float>{0.1234f}));
  EXPECT_FALSE(quantizer->params().has_value());
}

TEST(ActivationQuantizer, ObservesBeforeItQuantizesAndFreezesInEvaluation) {
  auto quantizer = averaging(grid_of(8));
  EXPECT_FLOAT_EQ(quantizer->apply(values({12.7f, 0.149f})).value().at(1), 0.1f);
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 0.1f);
  quantizer->eval();
  EXPECT_FLOAT_EQ(quantizer->apply(values({1270.f})).value().at(0), 12.7f);
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 0.1f);
  quantizer->train();
  quantizer->set_observing(false);
  quantizer->apply(values({1270.f}));
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 0.1f);
}

TEST(ActivationQuantizer, SwitchedOffItOnlyObserves) {
  auto quantizer = averaging(grid_of(8));
  quantizer->set_quantizing(false);
  EXPECT_EQ(list(quantizer->apply(values({12.7f, 0.149f})).value()), (std::vector<float>{12.7f, 0.149f}));
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0], 0.1f);
}

TEST(ActivationQuantizer, GradientStopsOutsideTheGrid) {
  auto quantizer = averaging(grid_of(8));
  quantizer->apply(values({12.7f}));
  quantizer->eval();
  const Variable x = values({1, 20, -20, -5}, true);
  quantizer->apply(x).backward(Tensor::full({1, 4}, 1));
  EXPECT_EQ(list(x.grad()), (std::vector<float>{1, 0, 0, 1}));
}

TEST(ActivationQuantizer, PaddleGradientIsNotMasked) {
  Grid grid = grid_of(8);
  grid.rule = QuantRule::paddle, grid.narrow = true;
  ActivationQuantizer quantizer(grid, std::make_shared<PaddleMovingAverageObserver>(0.9));
  quantizer.apply(values({10}));
  quantizer.eval();
  EXPECT_NEAR(quantizer.params()->scale[0], 5.7368, 1e-4);
  const Variable x = values({1, 20}, true);
  quantizer.apply(x).backward(Tensor::full({1, 2}, 1));
  EXPECT_EQ(list(x.grad()), (std::vector<float>{1, 1}));
}

std::optional<nn::DeferredQuant> defer(FakeQuantizer& quantizer, float low, float high) {
  return quantizer.defer(Tensor::from(Shape{2}, std::vector<float>{low, high}), Device::cpu);
}

TEST(ActivationQuantizer, FusedOperationsMayReportTheRange) {
  auto quantizer = averaging(grid_of(8, true));
  const auto left = defer(*quantizer, 0, 25.5f);
  ASSERT_TRUE(left && left->grid && left->masked);
  EXPECT_FLOAT_EQ(left->grid->scale[0], 0.1f);
  quantizer->set_quantizing(false);
  EXPECT_FALSE(defer(*quantizer, 0, 51)->grid);
  EXPECT_GT(quantizer->params()->scale[0], 0.1f);
  quantizer->eval();
  const auto before = quantizer->params();
  EXPECT_TRUE(quantizer->defer({}, Device::cpu));
  EXPECT_EQ(quantizer->params(), before);
  EXPECT_ERROR((quantizer->train(), defer(*quantizer, std::nanf(""), std::nanf(""))), "training diverged");
}

TEST(ActivationQuantizer, LeavesNothingThatAFusedOperationCannotDo) {
  const Tensor range = Tensor::from(Shape{2}, std::vector<float>{0, 1});
  auto shared = averaging(grid_of(8));
  shared->set_reads_per_forward(2);
  EXPECT_FALSE(shared->defer(range, Device::cpu));
  EXPECT_FALSE(averaging(grid_of(8))->defer({}, Device::cpu));  // nothing to observe
  Grid paddle = grid_of(8);
  paddle.rule = QuantRule::paddle;
  EXPECT_FALSE(averaging(paddle)->defer(range, Device::cpu));
  ActivationQuantizer pact(grid_of(8), std::make_shared<MovingAverageAbsMaxObserver>(0.9), std::make_shared<Pact>());
  EXPECT_FALSE(pact.defer(range, Device::cpu));
  EXPECT_FALSE(pact.params());
  EXPECT_FALSE(LearnedStepQuantizer::for_activation(grid_of(8))->defer(range, Device::cpu));
}

TEST(SharedQuantizer, QuantizesATensorOncePerForward) {
  auto quantizer = averaging(grid_of(8), 0.5);
  quantizer->set_reads_per_forward(2);
  const Variable x = values({12.7f, 1});
  const Variable first = quantizer->apply(x), second = quantizer->apply(x);
  EXPECT_EQ(first.node(), second.node());
  // The next pass computes anew, also for the very same leaf.
  EXPECT_NE(quantizer->apply(x).node(), first.node());
}

TEST(SharedQuantizer, TensorsOfOneForwardMakeOneObservation) {
  auto quantizer = averaging(grid_of(8), 0.5);
  quantizer->set_reads_per_forward(3);
  const auto pass = [&](float a, float b) {
    const Variable x = values({a}), y = values({b});
    quantizer->apply(x);
    quantizer->apply(y);
    quantizer->apply(x);
    return quantizer->params()->scale[0] * 127;
  };
  EXPECT_FLOAT_EQ(pass(10, 4), 10);
  EXPECT_FLOAT_EQ(pass(2, 20), 15);
  EXPECT_FLOAT_EQ(pass(5, 5), 10);
}

TEST(SharedQuantizer, ResultsDoNotOutliveThePass) {
  auto quantizer = averaging(grid_of(8));
  quantizer->set_reads_per_forward(2);
  std::weak_ptr<Node> result;
  {
    const Variable x = values({1}, true);
    result = quantizer->apply(x).node();
    EXPECT_FALSE(result.expired());
    quantizer->apply(x);
  }
  EXPECT_TRUE(result.expired());
}

TEST(SharedQuantizer, ChangeOfModeStartsANewPass) {
  auto quantizer = averaging(grid_of(8), 0.5);
  quantizer->set_reads_per_forward(2);
  quantizer->apply(values({10}));  // a pass that never ends
  quantizer->eval();
  quantizer->train();
  quantizer->apply(values({20}));
  EXPECT_FLOAT_EQ(quantizer->params()->scale[0] * 127, 15);
}

TEST(SharedQuantizer, RefusesNaN) {
  auto quantizer = averaging(grid_of(8));
  EXPECT_ERROR(quantizer->apply(values({std::nanf("")})), "training diverged");
}

TEST(WeightQuantizer, FollowsTheWeightAtEveryForward) {
  Grid grid = grid_of(8);
  grid.narrow = true;
  WeightQuantizer per_channel(grid, WeightRange{}), whole(grid, WeightRange{.per_channel = false});
  Variable w(Tensor::from<float>({2, 2}, std::vector<float>{12.7f, 1, 1.27f, -0.333f}), true);
  EXPECT_FLOAT_EQ(per_channel.apply(w).value().at(3), -0.33f);
  EXPECT_FLOAT_EQ(whole.apply(w).value().at(3), -0.3f);
  EXPECT_EQ(per_channel.params()->scale.size(), 2u);
  EXPECT_EQ(whole.params()->scale.size(), 1u);
  w.value().fill(2.54);
  per_channel.eval();
  per_channel.apply(w);
  EXPECT_FLOAT_EQ(per_channel.params()->scale[1], 0.02f);
  const auto codes = per_channel.codes();
  ASSERT_TRUE(codes.has_value());
  EXPECT_EQ(codes->codes.at(0), 127);
  EXPECT_EQ(codes->params, per_channel.params());
  per_channel.set_quantizing(false);
  EXPECT_FALSE(per_channel.codes().has_value());
  per_channel.set_quantizing(true);
  per_channel.apply(w).backward(Tensor::full({2, 2}, 1));
  EXPECT_EQ(list(w.grad()), (std::vector<float>{1, 1, 1, 1}));
}

TEST(ShiftRounder, RoundsToTheAccumulatorsStep) {
  auto input = averaging(grid_of(8));
  Grid grid = grid_of(8);
  grid.narrow = true;
  auto weight = std::make_shared<WeightQuantizer>(grid, WeightRange{});
  ShiftRounder rounder(input, weight);
  const Variable affine(Tensor::from<float>({2, 2}, std::vector<float>{-2, 0.5f, 0.333f, 0.333f}));
  EXPECT_EQ(rounder.apply(affine).node(), affine.node());
  input->apply(values({127}));  // step 1
  weight->apply(Variable(Tensor::from<float>({2, 1}, std::vector<float>{12.7f, 1.27f})));
  const auto rounded = list(rounder.apply(affine).value());
  EXPECT_FLOAT_EQ(rounded[2], 0.4f);    // step 0.1 * 2
  EXPECT_FLOAT_EQ(rounded[3], 0.335f);  // step 0.01 * 0.5
  const Variable bias(Tensor::from<float>({2}, std::vector<float>{0.333f, 0.333f}));
  EXPECT_EQ(list(rounder.apply(bias).value())[0],
            static_cast<float>(3 * static_cast<double>(weight->params()->scale[0])));
}

}  // namespace
}  // namespace octet::quant
