#include "quant/observers/observer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

Range top(float x) { return {-x / 2, x}; }

/// abs-max of the range after each batch.
std::vector<float> watch(Observer& observer, const std::vector<float>& batches) {
  std::vector<float> seen;
  for (float batch : batches) {
    observer.observe(top(batch), true);
    seen.push_back(observer.range().abs_max());
  }
  return seen;
}

TEST(Observer, PaddleMovingAverageStartsAtOne) {
  PaddleMovingAverageObserver observer(0.9);
  EXPECT_FALSE(observer.seen());
  const auto seen = watch(observer, {10, 10, 10});
  EXPECT_NEAR(seen[0], 5.7368, 1e-4);
  EXPECT_NEAR(seen[1], 7.30996, 1e-4);
  EXPECT_NEAR(seen[2], 8.09218, 1e-4);
  EXPECT_TRUE(observer.seen());
}

TEST(Observer, MovingAverageStartsAtTheFirstBatch) {
  MovingAverageAbsMaxObserver observer(0.9);
  const auto seen = watch(observer, {10, 10, 20, 0});
  EXPECT_EQ(seen[0], 10);
  EXPECT_EQ(seen[1], 10);
  EXPECT_FLOAT_EQ(seen[2], 11);
  EXPECT_FLOAT_EQ(seen[3], 9.9f);
}

TEST(Observer, AbsMaxNeverShrinks) {
  AbsMaxObserver observer;
  EXPECT_EQ(watch(observer, {3, 7, 2, 8, 1}), (std::vector<float>{3, 7, 7, 8, 8}));
}

TEST(Observer, RangeAbsMaxForgetsWhatLeavesTheWindow) {
  RangeAbsMaxObserver observer(3);
  EXPECT_EQ(watch(observer, {9, 1, 2, 3, 1, 1, 1}), (std::vector<float>{9, 9, 9, 3, 3, 3, 1}));
}

TEST(Observer, RangeAbsMaxWithAWindowOfOneIsTheLastBatch) {
  RangeAbsMaxObserver observer(1);
  EXPECT_EQ(watch(observer, {9, 1, 4}), (std::vector<float>{9, 1, 4}));
}

TEST(Observer, MinMaxAveragesBothEnds) {
  MinMaxObserver observer(0.75);
  observer.observe({-1, 4}, true);
  observer.observe({-5, 8}, true);
  EXPECT_FLOAT_EQ(observer.range().min, -2);
  EXPECT_FLOAT_EQ(observer.range().max, 5);
}

TEST(Observer, TensorsOfOneStepCountAsOneBatch) {
  MovingAverageAbsMaxObserver merged(0.5), whole(0.5);
  merged.observe({-2, 1}, true);
  merged.observe({-1, 8}, false);
  merged.observe({-4, 0}, true);
  merged.observe({-1, 1}, false);
  whole.observe({-2, 8}, true);
  whole.observe({-4, 1}, true);
  EXPECT_EQ(merged.range().abs_max(), whole.range().abs_max());
  EXPECT_EQ(merged.range().abs_max(), 6);
}

TEST(Observer, StateContinuesFromACheckpoint) {
  RangeAbsMaxObserver through(3);
  watch(through, {5, 9});
  RangeAbsMaxObserver resumed(3);
  EXPECT_FALSE(resumed.seen());
  resumed.load_state(through.state());
  EXPECT_TRUE(resumed.seen());
  EXPECT_EQ(watch(through, {1, 2, 3, 4}), watch(resumed, {1, 2, 3, 4}));
}

TEST(Observer, AStateThatSaysNonsenseWritesNowhereElse) {
  for (const float place : {-9999.0f, 3.0f, 1e30f, std::numeric_limits<float>::quiet_NaN()}) {
    RangeAbsMaxObserver observer(3);
    watch(observer, {5, 9});
    Tensor(observer.state()[0].second).data<float>()[0] = place;
    EXPECT_EQ(watch(observer, {1}), std::vector<float>{9}) << "the next batch is the first of the ring";
  }
}

TEST(Observer, RefusesWhatIsNotFinite) {
  AbsMaxObserver observer;
  EXPECT_ERROR(observer.observe({0, std::numeric_limits<float>::quiet_NaN()}, true), "smaller learning rate");
  EXPECT_ERROR(observer.observe({-std::numeric_limits<float>::infinity(), 0}, true), "training diverged");
  EXPECT_FALSE(observer.seen());
}

TEST(Observer, ExtremaOfTensors) {
  const Tensor values = Tensor::from<float>({2, 3}, std::vector<float>{1, -5, 2, 0.5f, 0.25f, -0.75f});
  EXPECT_EQ(values_of(abs_max(values, 1)), (std::vector<float>{5}));
  EXPECT_EQ(values_of(abs_max(values, 2)), (std::vector<float>{5, 0.75f}));
  EXPECT_EQ(values_of(abs_max(values.to(DType::f64), 2)), (std::vector<float>{5, 0.75f}));
  EXPECT_EQ(values_of(min_max(values))[0], -5);
  EXPECT_EQ(values_of(min_max(values))[1], 2);
  EXPECT_TRUE(std::isnan(values_of(abs_max(Tensor::full({4}, std::nan("")), 1))[0]));
}

}  // namespace
}  // namespace octet::quant
