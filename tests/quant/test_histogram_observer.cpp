// Observers of values: what histograms of many batches make of a range, and who has to hand them tensors.
#include "quant/observers/histogram_observer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "quant/observers/make_observer.h"
#include "quant/observers/weight_range.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

using kernels::HistogramRule;

Tensor row(const std::vector<float>& x) { return Tensor::from(Shape{1, static_cast<std::int64_t>(x.size())}, x); }
/// first … last.
std::vector<float> numbers(int first, int last) {
  std::vector<float> all;
  for (int i = first; i <= last; ++i) all.push_back(static_cast<float>(i));
  return all;
}
Tensor normals(std::int64_t count, std::uint64_t seed) {
  Tensor x(Shape{1, count});
  Random random(seed, Purpose::test);
  for (float& v : x.span<float>()) v = static_cast<float>(random.normal());
  return x;
}
HistogramSearch percentile(double share, int sides = 1) { return {HistogramRule::percentile, sides, 127, share}; }

TEST(HistogramObserver, IsAMovingAverageOfHistograms) {
  HistogramObserver observer(percentile(0.5), 0.5);
  EXPECT_FALSE(observer.seen());
  observer.observe_values(row(numbers(1, 1000)), true);
  EXPECT_EQ(observer.range().max, 500.5f) << "bins are half a unit wide";
  EXPECT_EQ(observer.range().min, -500.5f);
  // Half of the first batch counts beside the second: of 1500 the lower 750, 500 of them at 0.
  std::vector<float> second(500, 0.0f);
  for (const float x : numbers(501, 1000)) second.push_back(x);
  observer.observe_values(row(second), true);
  EXPECT_EQ(observer.range().max, 500.5f);
  observer.observe_values(row(std::vector<float>(1000, 0.0f)), true);
  EXPECT_EQ(observer.range().max, 0);
  EXPECT_TRUE(observer.seen());
}

TEST(HistogramObserver, TensorsOfOneStepCountAsOneBatch) {
  HistogramObserver merged(percentile(0.9), 0.5), whole(percentile(0.9), 0.5);
  for (int step = 0; step < 3; ++step) {
    const Tensor a = normals(300, 2 * step), b = normals(50, 2 * step + 1);
    merged.observe_values(a, true);
    merged.observe_values(b, false);
    std::vector<float> both = values_of(a.reshape({300}));
    for (const float x : values_of(b.reshape({50}))) both.push_back(x);
    whole.observe_values(row(both), true);
  }
  EXPECT_EQ(merged.range().max, whole.range().max);
  for (std::size_t i = 0; i < merged.state().size(); ++i)
    EXPECT_EQ(values_of(merged.state()[i].second), values_of(whole.state()[i].second));
}

TEST(HistogramObserver, StateContinuesFromACheckpoint) {
  for (const HistogramRule rule : {HistogramRule::percentile, HistogramRule::kl, HistogramRule::mse}) {
    const HistogramSearch search{rule, 1, 15, 0.99};
    HistogramObserver through(search, 0.8), resumed(search, 0.8);
    through.observe_values(normals(2000, 1), true);
    resumed.load_state(through.state());
    EXPECT_TRUE(resumed.seen());
    for (HistogramObserver* observer : {&through, &resumed}) observer->observe_values(normals(2000, 2), true);
    EXPECT_EQ(through.range().max, resumed.range().max);
    EXPECT_GT(through.range().max, 1.5f);
  }
}

TEST(HistogramObserver, TakesDoublesAndRefusesWhatIsNotFinite) {
  HistogramObserver observer(percentile(1), 0.9);
  EXPECT_ERROR(observer.observe_values(row({1, std::numeric_limits<float>::quiet_NaN()}), true), "training diverged");
  EXPECT_ERROR(observer.observe_values(row({1, -std::numeric_limits<float>::infinity()}), true), "training diverged");
  EXPECT_FALSE(observer.seen());
  observer.observe_values(row({1, -3}).to(DType::f64), true);
  EXPECT_NEAR(observer.range().max, 3, 0.01);
  EXPECT_ERROR(observer.observe(Range{0, 1}, true), "a HistogramObserver watches values");
  EXPECT_ERROR(AbsMaxObserver().observe_values(row({1}), true), "a AbsMaxObserver watches ranges");
}

TEST(Observer, BothEndsOfAllBatchesAndOfTheLast) {
  ExtremesObserver all;
  RangeMinMaxObserver last(2);
  const Range batches[] = {{-1, 2}, {-5, 1}, {0.5f, 9}, {-2, 3}, {-1, 1}};
  for (const Range& batch : batches)
    for (Observer* observer : {static_cast<Observer*>(&all), static_cast<Observer*>(&last)}) {
      observer->observe(Range{batch.min, 0}, true);  // the step's first tensor does not reach as far
      observer->observe(batch, false);
    }
  EXPECT_EQ(all.range().min, -5);
  EXPECT_EQ(all.range().max, 9);
  EXPECT_EQ(last.range().min, -2);
  EXPECT_EQ(last.range().max, 3);
  ExtremesObserver positive;
  positive.observe(Range{2, 3}, true);
  EXPECT_EQ(positive.range().min, 2) << "the first batch's, not 0";
}

Grid grid_of(int bits, bool affine = false) {
  Grid grid;
  grid.bits = bits, grid.affine = affine;
  return grid;
}
std::shared_ptr<ActivationQuantizer> quantizer_of(ActivationQuantize type, const Grid& grid) {
  QuantConfig config;
  config.activation_quantize_type = type, config.activation_affine = grid.affine;
  config.activation_percentile = 90;
  config.check();
  return std::make_shared<ActivationQuantizer>(grid, make_observer(config, grid));
}

constexpr ActivationQuantize kClipping[] = {ActivationQuantize::percentile, ActivationQuantize::kl,
                                            ActivationQuantize::mse};

TEST(ActivationQuantizer, CalibratesOnTheHistogramOfAllBatches) {
  for (const ActivationQuantize type : kClipping)
    for (const bool affine : {false, true}) {
      if (affine && type == ActivationQuantize::kl) continue;
      const auto parts = quantizer_of(type, grid_of(4, affine)), whole = quantizer_of(type, grid_of(4, affine));
      const Tensor x = normals(6000, 3);
      for (const auto& quantizer : {parts, whole}) quantizer->eval(), quantizer->set_calibrating(true);
      for (std::int64_t at = 0; at < 6000; at += 1500)
        parts->apply(Variable(x.reshape({6000}).slice(at, at + 1500).reshape({1, 1500})));
      whole->apply(Variable(x));
      EXPECT_EQ(parts->params(), whole->params()) << name_of(type);
      for (const auto& quantizer : {parts, whole}) quantizer->set_calibrating(false);
      // With 16 codes some clipping gains.
      const QuantParams grid = *parts->params();
      EXPECT_LT(grid.scale[0] * static_cast<float>(grid.hi), (affine ? 1.9 : 0.99) * abs_max(x, 1).at(0))
          << name_of(type);
      EXPECT_EQ(grid.zero_point != 0, affine);
    }
}

TEST(ActivationQuantizer, WantsTensorsOnlyWhileItWatches) {
  const Tensor range = Tensor::from(Shape{2}, std::vector<float>{0, 1});
  for (const ActivationQuantize type : kClipping) {
    const auto quantizer = quantizer_of(type, grid_of(8));
    EXPECT_FALSE(quantizer->defer(range, Device::cpu));
    quantizer->apply(Variable(normals(100, 4)));
    EXPECT_FALSE(quantizer->defer(range, Device::cpu));
    quantizer->eval();
    EXPECT_EQ(quantizer->defer({}, Device::cpu)->grid, quantizer->params());
    quantizer->train();
    quantizer->set_observing(false);
    EXPECT_TRUE(quantizer->defer({}, Device::cpu));
  }
}

TEST(MakeObserver, GivesAffineGridsBothEnds) {
  QuantConfig config;
  config.activation_affine = true;
  const auto kind_of = [&](ActivationQuantize type) {
    config.activation_quantize_type = type;
    return make_observer(config, grid_of(8, true))->kind();
  };
  EXPECT_EQ(kind_of(ActivationQuantize::abs_max), "ExtremesObserver");
  EXPECT_EQ(kind_of(ActivationQuantize::range_abs_max), "RangeMinMaxObserver");
  EXPECT_EQ(kind_of(ActivationQuantize::moving_average_abs_max), "MinMaxObserver");
  EXPECT_EQ(kind_of(ActivationQuantize::mse), "HistogramObserver");
}

TEST(WeightRange, KlOfTheWhole) {
  const Tensor w = normals(3000, 5).reshape({30, 100});
  QuantParams bounds;
  bounds.hi = 7;
  const Tensor threshold = thresholds({false, Clipping::kl}, w, bounds);
  ASSERT_EQ(threshold.numel(), 1);
  EXPECT_EQ(values_of(threshold), values_of(histogram_threshold(w, {HistogramRule::kl, 1, 7})));
  EXPECT_GT(threshold.at(0), 1.5);
  EXPECT_LT(threshold.at(0), abs_max(w, 1).at(0));
}

}  // namespace
}  // namespace octet::quant
