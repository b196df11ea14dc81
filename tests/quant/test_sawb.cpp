// SAWB's factors, derived anew, and its thresholds.
#include "quant/observers/sawb.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "core/random.h"
#include "quant/observers/observer.h"
#include "quant/observers/weight_range.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

/// A density over x >= 0, where the rest behind `end` is nothing.
struct Half {
  double end;
  std::function<double(double)> density;
};
const Half kDistributions[] = {{8, [](double x) { return std::exp(-x * x / 2); }},
                               {1, [](double) { return 1.0; }},
                               {1, [](double x) { return 1 - x; }},
                               {30, [](double x) { return std::exp(-x); }},
                               {35, [](double x) { return std::pow(std::cosh(x / 2), -2); }},
                               {std::numbers::pi, [](double x) { return std::exp(std::cos(x)); }}};

/// √E[x²] and the threshold of least squared error, both over E|x|.
struct Ratios {
  double rms, threshold;
};
Ratios ratios_of(const Half& half, int hi) {
  constexpr int kPoints = 4000;
  double mass = 0, mean = 0, square = 0;
  std::vector<double> x(kPoints), p(kPoints);
  for (std::size_t i = 0; i < kPoints; ++i) {
    x[i] = (static_cast<double>(i) + 0.5) * half.end / kPoints, p[i] = half.density(x[i]);
    mass += p[i], mean += p[i] * x[i], square += p[i] * x[i] * x[i];
  }
  mean /= mass;
  const double rms = std::sqrt(square / mass);
  const auto loss = [&](double threshold) {
    const double step = threshold / hi;
    double sum = 0;
    for (std::size_t i = 0; i < kPoints; ++i) {
      const double e = x[i] - std::fmin(std::nearbyint(x[i] / step), hi) * step;
      sum += p[i] * e * e;
    }
    return sum;
  };
  double best = 0, least = INFINITY;
  const auto look = [&](double around, double width, int steps) {
    for (int k = -steps; k <= steps; ++k) {
      const double threshold = around + width * k / steps;
      if (threshold <= 0) continue;
      if (const double now = loss(threshold); now < least) least = now, best = threshold;
    }
  };
  const double top = 1.05 * std::fmin(half.end, 20 * rms);
  look(top / 2, top / 2, 100);
  look(best, top / 200, 10);
  return {rms / mean, best / mean};
}

TEST(Sawb, FactorsAreTheLineThroughTheBestThresholds) {
  for (const int hi : {1, 3, 7, 15, 31, 63, 127}) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (const Half& half : kDistributions) {
      const Ratios r = ratios_of(half, hi);
      n += 1, x += r.rms, y += r.threshold, xx += r.rms * r.rms, xy += r.rms * r.threshold;
    }
    const double rms = (n * xy - x * y) / (n * xx - x * x), mean = (rms * x - y) / n;
    const SawbFactors factors = sawb_factors(hi);
    EXPECT_NEAR(factors.rms, rms, 0.02 * rms) << hi;
    EXPECT_NEAR(factors.mean, mean, 0.02 * mean + 0.02) << hi;
  }
  EXPECT_ERROR(sawb_factors(0), "0 is no largest code");
  EXPECT_ERROR(sawb_factors(8), "8 is no largest code");
  EXPECT_ERROR(sawb_factors(255), "255 is no largest code");
}

TEST(Sawb, ThresholdFollowsFromTwoMoments) {
  Tensor w(Shape{2, 1000});
  Random random(3, Purpose::test);
  for (float& x : w.span<float>()) x = static_cast<float>(random.normal());
  for (float& x : w.slice(1, 2).span<float>()) x *= 4;
  for (const bool per_channel : {true, false}) {
    QuantParams bounds;
    bounds.hi = 7;
    const std::vector<float> got = values_of(thresholds({per_channel, Clipping::sawb}, w, bounds));
    ASSERT_EQ(got.size(), per_channel ? 2u : 1u);
    const std::int64_t inner = w.numel() / static_cast<std::int64_t>(got.size());
    for (std::size_t c = 0; c < got.size(); ++c) {
      double mean = 0, square = 0;
      for (std::int64_t i = 0; i < inner; ++i) {
        const double x = w.data<float>()[static_cast<std::int64_t>(c) * inner + i];
        mean += std::fabs(x) / static_cast<double>(inner), square += x * x / static_cast<double>(inner);
      }
      EXPECT_NEAR(got[c], 11.832 * std::sqrt(square) - 11.869 * mean, 1e-5 * got[c]);
    }
  }
}

// Where the line makes no sense: all of one size, a single one, none.
TEST(Sawb, StaysBetweenMeanAndMaximum) {
  QuantParams bounds;
  const auto threshold = [&](const std::vector<float>& w, int hi) {
    bounds.hi = hi;
    const Tensor row = Tensor::from(Shape{1, static_cast<std::int64_t>(w.size())}, w);
    return values_of(thresholds({true, Clipping::sawb}, row, bounds))[0];
  };
  EXPECT_EQ(threshold({2, -2, 2, 2}, 127), 2);
  EXPECT_EQ(threshold({0, 0, 0, 8}, 127), 8);
  EXPECT_EQ(threshold({0, 0}, 7), 0);
  EXPECT_TRUE(std::isnan(threshold({1, INFINITY}, 7)));
  EXPECT_TRUE(std::isnan(threshold({1, NAN}, 7)));
}

}  // namespace
}  // namespace octet::quant
