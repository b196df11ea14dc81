// Learned rounding's two ops: closed forms and gradients.
#include <gtest/gtest.h>

#include <cmath>

#include "gradcheck.h"
#include "ops/ops.h"
#include "tests/support/expect_error.h"

namespace octet::ops {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;
using test::random_tensor;

TEST(SoftRounding, RectifiedSigmoidInClosedForm) {
  const Variable v(Tensor::from<double>({5}, std::vector<double>{0, 1, -1, 10, -10}));
  const Tensor h = rectified_sigmoid(v).value();
  EXPECT_NEAR(h.at(0), 0.5, 1e-15);
  EXPECT_NEAR(h.at(1), 1.2 / (1 + std::exp(-1.0)) - 0.1, 1e-15);
  EXPECT_NEAR(h.at(2), 1.2 / (1 + std::exp(1.0)) - 0.1, 1e-15);
  EXPECT_EQ(h.at(3), 1);
  EXPECT_EQ(h.at(4), 0);
  for (const double x : {0.0, 0.03, 0.5, 0.97, 1.0})
    EXPECT_NEAR(rectified_sigmoid(Variable(Tensor::full({1}, inverse_rectified_sigmoid(x), DType::f64))).value().item(),
                x, 1e-12);
}

TEST(SoftRounding, PenaltyInClosedForm) {
  const auto penalty = [](double h, double beta) {
    return rounding_penalty(Variable(Tensor::full({1}, h, DType::f64)), beta).value().item();
  };
  EXPECT_EQ(penalty(0, 5), 0);
  EXPECT_EQ(penalty(1, 5), 0);
  EXPECT_EQ(penalty(0.5, 5), 1);
  EXPECT_NEAR(penalty(0.9, 2), 1 - 0.8 * 0.8, 1e-12);
  EXPECT_NEAR(penalty(0.2, 20), 1 - std::pow(0.6, 20), 1e-12);
  EXPECT_NEAR(rounding_penalty(Variable(Tensor::full({100000}, 0.9, DType::f64)), 2).value().item(), 100000 * 0.36,
              1e-6);
}

TEST(SoftRounding, Gradients) {
  // Away from where h is cut off: σ(v)·1.2 − 0.1 is 0 or 1 at ±2.3979.
  const double cut = inverse_rectified_sigmoid(1);
  const Variable v(random_tensor({7, 3}, 1, DType::f64, 2.0, {cut, -cut}), true);
  EXPECT_EQ(gradient_error([](const auto& in) { return rectified_sigmoid(in[0]); }, {v}), "");
  EXPECT_EQ(f32_error([](const auto& in) { return rectified_sigmoid(in[0]); }, {v}), "");
  for (const double beta : {2.0, 3.5, 20.0}) {
    const Variable h(random_tensor({11}, 2, DType::f64, 0.2, {0.5}), true);
    const auto f = [=](const auto& in) { return rounding_penalty(in[0], beta); };
    EXPECT_EQ(gradient_error(f, {h}), "") << beta;
    EXPECT_EQ(f32_error(f, {h}), "") << beta;
    EXPECT_EQ(gradient_error([=](const auto& in) { return rounding_penalty(rectified_sigmoid(in[0]), beta); }, {v}), "")
        << beta;
  }
}

TEST(SoftRounding, WhatCannotBe) {
  const Variable integers(Tensor::zeros({2}, DType::s32));
  EXPECT_ERROR(rectified_sigmoid(integers), "rectified_sigmoid");
  EXPECT_ERROR(rounding_penalty(Variable(Tensor::zeros({2})), 1), "beta 1 must be above 1");
}

}  // namespace
}  // namespace octet::ops
