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

TEST(SoftmaxKl, GradientsMatchDifferences) {
  const Tensor teacher = random_tensor(Shape{4, 5}, 2, DType::f64, 3.0);
  for (const double temperature : {1.0, 4.0, 0.5}) {
    const auto f = [&](const std::vector<Variable>& v) {
      return ops::softmax_kl(v[0], teacher.to(v[0].value().dtype()), temperature);
    };
    const std::vector<Variable> in{Variable(random_tensor(Shape{4, 5}, 1, DType::f64, 3.0), true)};
    EXPECT_EQ(gradient_error(f, in), "") << temperature;
    EXPECT_EQ(f32_error(f, in), "") << temperature;
  }
}

TEST(SoftmaxKl, ClosedForm) {
  const double temperature = 2;
  const Tensor teacher = Tensor::from(Shape{2, 2}, std::vector<double>{0, 2 * std::log(3), 1, 1});
  const Variable student(Tensor::from(Shape{2, 2}, std::vector<double>{2 * std::log(2), 0, 5, 5}), true);
  // t = {1/4, 3/4}, s = {2/3, 1/3}; the second pictures agree.
  const double divergence = (0.25 * std::log(0.25 * 3 / 2) + 0.75 * std::log(0.75 * 3)) / 2;
  const Variable loss = ops::softmax_kl(student, teacher, temperature);
  EXPECT_NEAR(loss.value().item(), temperature * temperature * divergence, 1e-12);
  loss.backward(Tensor::full({1}, 1, DType::f64));
  EXPECT_NEAR(student.grad().at(0), temperature * (2.0 / 3 - 0.25) / 2, 1e-12);
  EXPECT_NEAR(student.grad().at(1), temperature * (1.0 / 3 - 0.75) / 2, 1e-12);
  EXPECT_NEAR(student.grad().at(2), 0, 1e-15);
}

TEST(SoftmaxKl, SurvivesExtremes) {
  const Tensor teacher = Tensor::from(Shape{1, 3}, std::vector<float>{1e30f, 0, -1e30f});
  const Variable far(Tensor::from(Shape{1, 3}, std::vector<float>{1e4f, 0, -1e4f}), true);
  EXPECT_EQ(ops::softmax_kl(far, teacher, 1).value().item(), 0) << "both are certain of the same class";
  const Tensor never = Tensor::from(Shape{1, 3}, std::vector<float>{0, -INFINITY, 0});
  EXPECT_NEAR(ops::softmax_kl(Variable(Tensor::zeros({1, 3})), never, 1).value().item(), std::log(1.5), 1e-6)
      << "what the teacher rules out adds nothing";
  const Variable lost(Tensor::from(Shape{1, 3}, std::vector<float>{0, std::nanf(""), 0}));
  EXPECT_TRUE(std::isnan(ops::softmax_kl(lost, teacher, 1).value().item())) << "nothing is hidden";
}

TEST(SoftmaxKl, RefusesWhatDoesNotFit) {
  const Variable logits(random_tensor(Shape{2, 3}, 1));
  EXPECT_NE(error_of([&] {
              ops::softmax_kl(logits, random_tensor(Shape{3, 2}, 1), 1);
            }).find("[softmax_kl] teacher must have shape 2x3"),
            std::string::npos);
  for (const double temperature : {0.0, -1.0, std::numeric_limits<double>::infinity()})
    EXPECT_NE(error_of([&] { ops::softmax_kl(logits, logits.value(), temperature); }).find("is not a positive number"),
              std::string::npos);
}

}  // namespace
}  // namespace octet
