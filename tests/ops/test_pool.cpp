#include <gtest/gtest.h>

#include <numeric>

#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;

/// Distinct values far apart, shuffled: no difference changes which of them wins.
Variable distinct(const Shape& shape, std::uint64_t seed) {
  Random random(seed, Purpose::test);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(),
            -static_cast<double>(values.size()) - 1);  // negative: a padded zero would win
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
  for (double& v : values) v *= 0.01;
  return Variable(Tensor::from(shape, values), true);
}

struct Case {
  Shape src;
  ops::Pool2dArgs args;
};
const std::vector<Case> kCases = {
    {Shape{2, 4, 4, 3}, {2, 2, 2, 2, 0, 0}}, {Shape{1, 5, 7, 2}, {3, 3, 2, 2, 1, 1}},
    {Shape{1, 5, 5, 1}, {3, 2, 1, 1, 2, 1}}, {Shape{2, 1, 1, 4}, {1, 1, 1, 1, 0, 0}},
    {Shape{1, 1, 1, 3}, {3, 3, 2, 2, 1, 1}}, {Shape{1, 6, 3, 2}, {2, 3, 3, 1, 0, 0}},
    {Shape{1, 7, 7, 1}, {2, 2, 3, 3, 0, 0}},
};

TEST(Pool, GradientsMatchDifferences) {
  for (const Case& c : kCases) {
    const auto max = [&](const std::vector<Variable>& v) { return ops::max_pool(v[0], c.args); };
    const auto avg = [&](const std::vector<Variable>& v) { return ops::avg_pool(v[0], c.args); };
    const auto global = [&](const std::vector<Variable>& v) { return ops::global_avg_pool(v[0]); };
    for (const auto& f : std::vector<test::Function>{max, avg, global}) {
      EXPECT_EQ(gradient_error(f, {distinct(c.src, 5)}), "") << c.src.str();
      EXPECT_EQ(f32_error(f, {distinct(c.src, 5)}), "") << c.src.str();
    }
  }
}

TEST(Pool, PaddingNeverWinsAndIsNotCounted) {
  Variable x(Tensor::from(Shape{1, 2, 2, 1}, std::vector<float>{-1, -2, -3, -4}));
  const Tensor max = ops::max_pool(x, {3, 3, 1, 1, 1, 1}).value(), avg = ops::avg_pool(x, {2, 2, 2, 2, 1, 1}).value();
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(max.at(i), -1);
  ASSERT_EQ(avg.shape(), (Shape{1, 2, 2, 1}));
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(avg.at(i), x.value().at(i));
  EXPECT_EQ(ops::global_avg_pool(x).value().item(), -2.5);
  EXPECT_EQ(ops::global_avg_pool(x).shape(), (Shape{1, 1, 1, 1}));
}

TEST(Pool, FirstOfEqualsGetsTheGradient) {
  Variable x(Tensor::full(Shape{1, 2, 2, 1}, 3, DType::f64), true);
  ops::max_pool(x, {}).backward();
  EXPECT_EQ(x.grad().at(0), 1);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(x.grad().at(i), 0);
}

TEST(Pool, RefusesWhatDoesNotFit) {
  Variable x(Tensor::zeros(Shape{1, 4, 4, 1}));
  EXPECT_EQ(error_of([&] {
              ops::max_pool(x, {2, 2, 2, 2, 2, 0});
            }),
            "[max_pool] padding 2x0 must be less than the window 2x2");
  EXPECT_NE(error_of([&] {
              ops::avg_pool(x, {5, 5, 1, 1, 0, 0});
            }).find("[avg_pool] window 5x5 does not fit"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::avg_pool(x, {0, 2, 1, 1, 0, 0});
            }).find("window 0x2 is out of range"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::global_avg_pool(Variable(Tensor::zeros(Shape{4, 4})));
            }).find("src must be N,H,W,C"),
            std::string::npos);
}

}  // namespace
}  // namespace octet
