#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;
using test::random_tensor;

Tensor labels_of(std::vector<std::int32_t> labels) {
  return Tensor::from(Shape{static_cast<std::int64_t>(labels.size())}, labels);
}

TEST(SoftmaxCrossEntropy, GradientsMatchDifferences) {
  const Tensor labels = labels_of({0, 4, 2, 2});
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    const auto f = [&](const std::vector<Variable>& v) { return ops::softmax_cross_entropy(v[0], labels, smoothing); };
    const std::vector<Variable> in{Variable(random_tensor(Shape{4, 5}, 1, DType::f64, 3.0), true)};
    EXPECT_EQ(gradient_error(f, in), "") << smoothing;
    EXPECT_EQ(f32_error(f, in), "") << smoothing;
  }
  const auto one_class = [](const std::vector<Variable>& v) {
    return ops::softmax_cross_entropy(v[0], labels_of({0}), 0);
  };
  EXPECT_EQ(gradient_error(one_class, {Variable(random_tensor(Shape{1, 1}, 1), true)}), "");
}

TEST(SoftmaxCrossEntropy, ClosedForm) {
  Variable logits(Tensor::from(Shape{2, 3}, std::vector<double>{1, 2, 3, 0, 0, 0}));
  const double z = std::exp(1) + std::exp(2) + std::exp(3);
  const double plain = (-(2 - std::log(z)) + std::log(3)) / 2;
  EXPECT_NEAR(ops::softmax_cross_entropy(logits, labels_of({1, 0})).value().item(), plain, 1e-12);
  // target = (1 − ε)·onehot + ε/3
  const double uniform = ((3 * std::log(z) - 6) / 3 + std::log(3)) / 2;
  EXPECT_NEAR(ops::softmax_cross_entropy(logits, labels_of({1, 0}), 0.3).value().item(), 0.7 * plain + 0.3 * uniform,
              1e-12);
  const Tensor p = ops::softmax(logits.value());
  EXPECT_NEAR(p.at(2), std::exp(3) / z, 1e-12);
  EXPECT_NEAR(p.at(4), 1.0 / 3, 1e-12);
}

TEST(SoftmaxCrossEntropy, LargeLogitsStayFinite) {
  Variable logits(Tensor::from(Shape{1, 3}, std::vector<float>{1e30f, -1e30f, 0}), true);
  Variable loss = ops::softmax_cross_entropy(logits, labels_of({0}));
  EXPECT_EQ(loss.value().item(), 0);
  loss.backward();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(logits.grad().at(i), 0);
}

TEST(SoftmaxCrossEntropy, NanIsPassedOn) {
  Variable logits(Tensor::from(Shape{1, 2}, std::vector<float>{std::numeric_limits<float>::quiet_NaN(), 0}));
  EXPECT_FALSE(std::isfinite(ops::softmax_cross_entropy(logits, labels_of({1})).value().item()));
}

TEST(SoftmaxCrossEntropy, RefusesWhatDoesNotFit) {
  Variable logits(Tensor::zeros(Shape{2, 10}));
  EXPECT_EQ(error_of([&] {
              ops::softmax_cross_entropy(logits, labels_of({3, 10}));
            }),
            "[softmax_cross_entropy] label 10 of picture 1 is outside [0, 10)");
  EXPECT_NE(error_of([&] {
              ops::softmax_cross_entropy(logits, labels_of({-1, 1}));
            }).find("label -1 of picture 0"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::softmax_cross_entropy(logits, labels_of({1}));
            }).find("labels must be s32 of shape 2, they are s32 1"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::softmax_cross_entropy(logits, Tensor::zeros(Shape{2})); }).find("they are f32 2"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::softmax_cross_entropy(logits, {}); }).find("labels are undefined"), std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::softmax_cross_entropy(logits, labels_of({1, 1}), 1.5);
            }).find("label smoothing 1.5"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::softmax_cross_entropy(Variable(Tensor::zeros(Shape{2, 1, 1, 10})), labels_of({1, 1}));
            }).find("logits must be N,C"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::softmax_cross_entropy(Variable(), labels_of({1})); }).find("logits are undefined"),
            std::string::npos);
}

TEST(CountTopK, TiesGoToTheLowerClass) {
  const Tensor logits = Tensor::from(Shape{1, 4}, std::vector<float>{1, 2, 2, 0});
  const auto hits = [&](std::int32_t label, std::int64_t k) { return ops::count_top_k(logits, labels_of({label}), k); };
  EXPECT_EQ(hits(1, 1), 1);
  EXPECT_EQ(hits(2, 1), 0);
  EXPECT_EQ(hits(2, 2), 1);
  EXPECT_EQ(hits(0, 2), 0);
  EXPECT_EQ(hits(0, 3), 1);
  EXPECT_EQ(hits(3, 3), 0);
  EXPECT_EQ(hits(3, 9), 1);
  EXPECT_NE(error_of([&] { hits(0, 0); }).find("k is 0"), std::string::npos);
  EXPECT_NE(error_of([&] { hits(4, 1); }).find("[count_top_k] label 4"), std::string::npos);
}

TEST(CountTopK, NanNeverCounts) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const Tensor logits = Tensor::from(Shape{3, 3}, std::vector<double>{nan, nan, nan, nan, -5, -6, -inf, inf, nan});
  EXPECT_EQ(ops::count_top_k(logits, labels_of({0, 0, 2}), 3), 0);
  EXPECT_EQ(ops::count_top_k(logits, labels_of({0, 1, 1}), 1), 2);
}

}  // namespace
}  // namespace octet
