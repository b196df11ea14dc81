#include "optim/adam.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops.h"
#include "tests/support/expect_error.h"

namespace octet::optim {
namespace {

/// Leaves `gradient` in w.
void give(const Variable& w, const std::vector<float>& gradient) {
  ops::mul_constant(w, Tensor::full(w.shape(), 1)).backward(Tensor::from(w.shape(), gradient));
}

TEST(Adam, StepsInClosedForm) {
  const AdamOptions options{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-3};
  Variable w(Tensor::from<float>({2}, std::vector<float>{1, -2}), true);
  Adam adam(w, options);
  double mean[2] = {}, square[2] = {}, wanted[2] = {1, -2};
  const std::vector<std::vector<float>> gradients{{3, -0.5f}, {-1, 0}, {2, 4}};
  for (std::size_t t = 0; t < gradients.size(); ++t) {
    give(w, gradients[t]);
    adam.step();
    for (int i = 0; i < 2; ++i) {
      const double g = gradients[t][static_cast<std::size_t>(i)];
      mean[i] = 0.8 * mean[i] + 0.2 * g, square[i] = 0.9 * square[i] + 0.1 * g * g;
      const double n = static_cast<double>(t) + 1;
      wanted[i] -= 0.1 * (mean[i] / (1 - std::pow(0.8, n))) / (std::sqrt(square[i] / (1 - std::pow(0.9, n))) + 1e-3);
      EXPECT_NEAR(w.value().at(i), wanted[i], 1e-6);
    }
    EXPECT_FALSE(w.grad().defined());
  }
}

TEST(Adam, FirstStepHasTheLengthOfTheRate) {
  Variable w(Tensor::zeros({100000}), true);  // several chunks
  Adam adam(w, {.lr = 0.25});
  give(w, std::vector<float>(100000, -1e-3f));
  adam.step();
  for (const float x : w.value().span<float>()) ASSERT_NEAR(x, 0.25, 1e-4);
}

TEST(Adam, WhatCannotBe) {
  Variable w(Tensor::zeros({2}), true);
  EXPECT_ERROR(Adam(w, {.lr = 0}), "out of range");
  EXPECT_ERROR(Adam(w, {.beta1 = 1}), "out of range");
  Adam adam(w, {});
  EXPECT_ERROR(adam.step(), "no gradient");
}

}  // namespace
}  // namespace octet::optim
