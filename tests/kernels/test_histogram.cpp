// Histograms that follow their values, and thresholds against what defines them.
#include "kernels/histogram/histogram.h"

#include <algorithm>

#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using hostile::reference_row;

constexpr int kBins = static_cast<int>(kHistogramBins);

/// A histogram on the processor.
struct Histogram {
  explicit Histogram(int sides) : state(static_cast<std::size_t>(histogram_size(sides))) { problem.sides = sides; }
  void fit(float top, double decay = 1) {
    problem.decay = decay;
    reference_row(histogram_rows(), "histogram_fit", "f32").run(problem, {.state = state.data(), .top = &top}, {});
  }
  void add(const std::vector<float>& values) {
    problem.count = static_cast<std::int64_t>(values.size());
    const hostile::PageEnd<float> src(values);
    reference_row(histogram_rows(), "histogram_add", "f32")
        .run(problem, {.state = state.data(), .src = src.data()}, {});
  }
  void show(const std::vector<float>& values, double decay = 1) {
    float top = 0;
    for (const float x : values) top = std::max(top, std::fabs(x));
    fit(top, decay), add(values);
  }
  /// low, high.
  std::pair<float, float> search(HistogramRule rule, std::int32_t hi, double share = 1) {
    problem.rule = rule, problem.hi = hi, problem.share = share;
    reference_row(histogram_rows(), "histogram_search", "f32").run(problem, {.state = state.data()}, {});
    return {state[0], state[1]};
  }
  float width() const { return std::ldexp(1.0f, static_cast<int>(state[2]) - 126); }
  float& count(int bin, int side = 0) { return state[static_cast<std::size_t>(4 + side * kBins + bin)]; }
  float zeros() const { return state[3]; }

  HistogramProblem problem;
  std::vector<float> state;
};

std::vector<float> normals(std::size_t count, std::uint64_t seed, double shift = 0) {
  std::vector<float> all(count);
  Random random(seed, Purpose::test);
  for (float& x : all) x = static_cast<float>(random.normal() + shift);
  return all;
}

TEST(Histogram, CountsByBinsOfPowersOfTwo) {
  for (const int sides : {1, 2}) {
    Histogram h(sides);
    const std::vector<float> values{1.5f, -1.5f, 0, -0.0f, 1, 0x1p-11f, -2047.0f / 1024, 0x1p-140f};
    h.show(values);
    ASSERT_EQ(h.width(), 0x1p-10f);
    EXPECT_EQ(h.zeros(), 2);
    EXPECT_EQ(h.count(1536), sides == 1 ? 2 : 1);
    EXPECT_EQ(h.count(1024), 1);
    EXPECT_EQ(h.count(0), 2) << "less than a width";
    EXPECT_EQ(h.count(2047, sides - 1), 1);
    if (sides == 2) {
      EXPECT_EQ(h.count(1536, 1), 1);
    }
  }
  for (const float top : {0.0f, 0x1p-149f, 1e-30f, 3.4e38f}) {
    Histogram h(1);
    h.show({top, top});
    float sum = h.zeros();
    for (int i = 0; i < kBins; ++i) sum += h.count(i);
    EXPECT_EQ(sum, 2) << top;
    EXPECT_EQ(h.search(HistogramRule::percentile, 127).second == 0, top == 0) << top;
  }
}

TEST(Histogram, OrderOfBatchesDoesNotMatter) {
  std::vector<std::vector<float>> batches{normals(5000, 1), {1e-3f, -2e-3f}, normals(100, 2), {250.5f, 0}, {-3}};
  for (const int sides : {1, 2}) {
    Histogram once(sides), back(sides), whole(sides);
    std::vector<float> all;
    for (const auto& batch : batches) {
      once.show(batch);
      all.insert(all.end(), batch.begin(), batch.end());
    }
    for (std::size_t i = batches.size(); i-- > 0;) back.show(batches[i]);
    whole.show(all);
    EXPECT_EQ(once.state, whole.state);
    EXPECT_EQ(back.state, whole.state);
  }
}

TEST(Histogram, ManyValuesAreCountedByAllThreads) {
  std::vector<float> values = normals(300000, 3);
  Histogram h(2);
  hostile::for_threads([&] {
    Histogram again(2);
    again.show(values);
    if (h.zeros() + h.count(0) == 0) h = again;
    EXPECT_EQ(h.state, again.state);
  });
  double sum = 0;
  for (int i = 0; i < 2 * kBins; ++i) sum += h.count(i);
  EXPECT_EQ(sum, values.size());
}

TEST(Histogram, DecayForgetsAndThenLooksCloser) {
  Histogram h(1);
  h.show({1000, 1, 1, 0});
  const float wide = h.width();
  h.show({1, 1, 1, 1}, 0.5);
  EXPECT_EQ(h.width(), wide);
  EXPECT_EQ(h.zeros(), 0.5f);
  EXPECT_EQ(h.count(static_cast<int>(1 / wide)), 5);
  int steps = 0;
  while (h.width() == wide && steps < 20) h.show({1}, 0.5), ++steps;
  EXPECT_EQ(steps, 4) << "1000 counted 1, then 1/2 … 1/16, then nothing";
  EXPECT_EQ(h.width(), wide / 2) << "a half at a time";
  h.show({1}, 0.5);
  EXPECT_EQ(h.width(), wide / 4);
  while (h.width() > 0x1p-10f) h.show({1}, 0.5);
  for (int i = 0; i < 3; ++i) h.show({1}, 0.5);
  EXPECT_EQ(h.width(), 0x1p-10f) << "1 needs that much room";
}

TEST(Histogram, WhatIsNotFiniteLosesIt) {
  for (const float top : {std::nanf(""), INFINITY}) {
    Histogram h(1);
    h.show({1, 2});
    h.fit(top);
    h.add({1, 2});
    h.show({3});
    EXPECT_TRUE(std::isnan(h.search(HistogramRule::mse, 127).second));
    EXPECT_TRUE(std::isnan(h.search(HistogramRule::percentile, 127).first));
  }
}

/// States come from checkpoints, which may say anything.
TEST(Histogram, AWidthThatCannotBeLosesIt) {
  for (const float width : {-1.0f, 244.0f, 362.0f, -1e30f, 1e30f, std::nanf("")}) {
    for (const int sides : {1, 2}) {
      Histogram h(sides);
      h.show({1, 2});
      h.count(kBins - 1) = 1;
      h.state[2] = width;
      h.add({1, 2});  // also without a fit before it
      EXPECT_TRUE(std::isnan(h.search(HistogramRule::percentile, 127).second)) << width;
      h.show({3}, 0.5);
      EXPECT_TRUE(std::isnan(h.search(HistogramRule::mse, 127).second)) << width;
    }
  }
}

TEST(Histogram, PercentileLeavesItsShare) {
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i));  // bins are 1/2 wide
  Histogram one(1);
  one.show(values);
  EXPECT_EQ(one.search(HistogramRule::percentile, 127, 0.9).second, 900.5f);
  EXPECT_EQ(one.search(HistogramRule::percentile, 127, 0.9).first, -900.5f);
  EXPECT_EQ(one.search(HistogramRule::percentile, 127, 1).second, 1000.5f);
  one.add(std::vector<float>(9000, 0.0f));
  EXPECT_EQ(one.search(HistogramRule::percentile, 127, 0.9).second, 0) << "nine in ten are 0";
  EXPECT_EQ(one.search(HistogramRule::percentile, 127, 0.95).second, 500.5f);

  Histogram two(2);
  for (int i = 1; i <= 250; ++i) values.push_back(static_cast<float>(-i));
  two.show(values);
  // 1250 values: the lowest 10 % are 125 of the negatives, the highest 125 of the positives.
  EXPECT_EQ(two.search(HistogramRule::percentile, 127, 0.9), std::make_pair(-125.5f, 875.5f));
  EXPECT_EQ(two.search(HistogramRule::percentile, 127, 0.7).first, 0) << "fewer negatives than that";
}

/// Migacz's procedure, step by step: P with the outliers in its last bin, Q from P's bins without them, both
/// normalised.
double divergence_of(const std::vector<double>& counts, int edge, int groups) {
  std::vector<double> p(counts.begin(), counts.begin() + edge), q(p.size());
  std::vector<double> sum_of(static_cast<std::size_t>(groups)), filled(sum_of.size());
  const auto group = [&](std::size_t b) { return b * sum_of.size() / p.size(); };
  for (std::size_t b = 0; b < p.size(); ++b) sum_of[group(b)] += p[b], filled[group(b)] += p[b] > 0;
  for (std::size_t b = 0; b < p.size(); ++b)
    if (p[b] > 0) q[b] = sum_of[group(b)] / filled[group(b)];
  for (std::size_t b = static_cast<std::size_t>(edge); b < counts.size(); ++b) p.back() += counts[b];
  double of_p = 0, of_q = 0, sum = 0;
  for (std::size_t b = 0; b < p.size(); ++b) of_p += p[b], of_q += q[b];
  for (std::size_t b = 0; b < p.size(); ++b)
    if (p[b] > 0) sum += q[b] > 0 ? p[b] / of_p * std::log(p[b] / of_p / (q[b] / of_q)) : INFINITY;
  return sum;
}

TEST(Histogram, KlIsMigaczsProcedure) {
  for (const std::uint64_t seed : {1, 2, 3})
    for (const std::int32_t hi : {3, 127, 255}) {
      std::vector<float> values = normals(4000, seed);
      if (seed == 2) values.resize(300), values[7] = 12;  // gaps, and an outlier
      if (seed == 3) values.resize(2500, 0.0f);           // zeros are no part of it
      Histogram h(1);
      h.show(values);
      const float threshold = h.search(HistogramRule::kl, hi).second;
      std::vector<double> counts(static_cast<std::size_t>(kBins));
      int used = 0;
      for (int i = 0; i < kBins; ++i)
        if (h.count(i) > 0) counts[static_cast<std::size_t>(i)] = h.count(i), used = i + 1;
      counts.resize(static_cast<std::size_t>(used));
      double least = INFINITY;
      for (int edge = used; edge > hi; --edge) least = std::min(least, divergence_of(counts, edge, hi + 1));
      EXPECT_NEAR(divergence_of(counts, static_cast<int>(threshold / h.width()), hi + 1), least, 1e-9 * least + 1e-12)
          << seed << ' ' << hi;
    }
  Histogram few(1);
  few.show({1, 2, 3, 4});
  few.count(2047) = 0;
  for (int i = 100; i < kBins; ++i) few.count(i) = 0;
  few.count(99) = 1;
  EXPECT_EQ(few.search(HistogramRule::kl, 127).second, 100 * few.width()) << "fewer bins than codes: nothing to gain";
}

/// Σ of the squared errors of the values themselves on the grid of codes 0 … hi over [low, high].
double loss_of(const std::vector<float>& values, double low, double high, int hi) {
  const double step = (high - low) / hi, z = std::clamp(std::rint(-low / step), 0.0, static_cast<double>(hi));
  double sum = 0;
  for (const float x : values) {
    const double e = x - step * std::clamp(std::rint(x / step), -z, hi - z);
    sum += e * e;
  }
  return sum;
}

TEST(Histogram, MseLosesLeast) {
  std::vector<float> values = normals(60000, 5);
  for (float& x : values) x = std::fabs(x);
  for (const std::int32_t hi : {1, 3, 15, 127}) {
    Histogram h(1);
    h.show(values);
    const auto [low, high] = h.search(HistogramRule::mse, hi);
    EXPECT_EQ(low, -high);
    const float top = *std::max_element(values.begin(), values.end());
    double least = INFINITY;
    for (int k = 1; k <= 512; ++k) least = std::min(least, loss_of(values, 0, top * k / 512, hi));
    EXPECT_LE(loss_of(values, 0, high, hi), 1.005 * least) << hi;
  }
}

TEST(Histogram, MseOfAnAffineGridMovesBothEnds) {
  std::vector<float> values = normals(40000, 6, 1);  // from about −3 to 5
  values[0] = -9, values[1] = 14;
  for (const std::int32_t hi : {3, 15, 255}) {
    Histogram h(2);
    h.show(values);
    const auto [low, high] = h.search(HistogramRule::mse, hi);
    EXPECT_LT(low, 0);
    if (hi <= 15) {
      EXPECT_GT(low, -4);
      EXPECT_LT(high, 6);
    }
    double least = INFINITY;
    for (int i = 1; i <= 40; ++i)
      for (int j = 1; j <= 40; ++j) least = std::min(least, loss_of(values, -9.0 * i / 40, 14.0 * j / 40, hi));
    EXPECT_LE(loss_of(values, low, high, hi), 1.1 * least) << hi;
  }
  Histogram positive(2);
  positive.show({1, 2, 3});
  EXPECT_EQ(positive.search(HistogramRule::mse, 255).first, 0);
}

TEST(Histogram, NothingButZerosHasNoRange) {
  for (const HistogramRule rule : {HistogramRule::percentile, HistogramRule::kl, HistogramRule::mse}) {
    Histogram h(1);
    h.show({0, 0});
    EXPECT_EQ(h.search(rule, 127, 0.99).second, 0);
  }
}

TEST(Histogram, RefusesWhatItCannotSearch) {
  const HistogramRow& row = reference_row(histogram_rows(), "histogram_search", "f32");
  EXPECT_NE(row.why_not({.sides = 2, .rule = HistogramRule::kl}), nullptr);
  EXPECT_NE(row.why_not({.hi = 0}), nullptr);
  EXPECT_NE(row.why_not({.hi = 2048}), nullptr);
  EXPECT_EQ(row.why_not({.hi = 2047}), nullptr);
}

}  // namespace
}  // namespace octet::kernels
