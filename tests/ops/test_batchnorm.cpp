// Batch normalisation in its two halves and as one.
#include <gtest/gtest.h>

#include <cmath>

#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;
using test::random_tensor;

ops::BatchNormState state_of(std::int64_t c, DType dtype = DType::f64) {
  ops::BatchNormState state;
  state.running_mean = random_tensor(Shape{c}, 41).to(dtype);
  state.running_var = Tensor::full(Shape{c}, 1.7, dtype);
  return state;
}

/// Copies, so that a training forward does not change what the next one sees.
ops::BatchNormState copy_of(const ops::BatchNormState& state, DType dtype) {
  ops::BatchNormState copy = state;
  copy.running_mean = state.running_mean.to(dtype).clone();
  copy.running_var = state.running_var.to(dtype).clone();
  return copy;
}

std::vector<Variable> leaves(const Shape& shape, double mean = 0, double spread = 1) {
  Tensor z = random_tensor(shape, 11, DType::f64, spread);
  for (double& x : z.span<double>()) x += mean;
  const std::int64_t c = shape[-1];
  return {Variable(z, true), Variable(random_tensor(Shape{c}, 12), true), Variable(random_tensor(Shape{c}, 13), true)};
}

test::Function function_of(const ops::BatchNormState& state, bool training, ops::Activation act) {
  return [=](const std::vector<Variable>& v) {
    ops::BatchNormState copy = copy_of(state, v[0].value().dtype());
    return ops::batchnorm(v[0], v[1], v[2], copy, training, act);
  };
}

TEST(BatchNorm, GradientsMatchDifferences) {
  for (const Shape& shape : {Shape{3, 4, 5, 2}, Shape{7, 3}, Shape{2, 1, 1, 5}, Shape{1, 3, 1, 1}, Shape{40}}) {
    for (const bool training : {true, false}) {
      for (const ops::Activation act : {ops::Activation::none, ops::Activation::relu, ops::Activation::relu6}) {
        const auto in = leaves(shape);
        const auto f = function_of(state_of(shape[-1]), training, act);
        EXPECT_EQ(gradient_error(f, in), "") << shape.str() << " training " << training << " " << kernels::name_of(act);
        // In f32, statistics over next to no pixels are ill-conditioned.
        if (shape.numel() / shape[-1] > 4) {
          EXPECT_EQ(f32_error(f, in, 1e-4), "") << shape.str() << training;
        }
      }
    }
  }
}

TEST(BatchNorm, AffineAloneHasExactGradients) {
  const auto in = leaves(Shape{6, 3}, 2.0, 0.3);
  for (const bool training : {true, false}) {
    const ops::BatchNormState state = state_of(3);
    EXPECT_EQ(gradient_error(
                  [&](const std::vector<Variable>& v) {
                    ops::BatchNormState copy = copy_of(state, DType::f64);
                    return ops::batchnorm_affine(v[0], v[1], v[2], copy, training);
                  },
                  in),
              "");
  }
}

/// A 1x1 convolution of a few channels and its batch norm: pictures, weight, γ, β.
std::vector<Variable> layer() {
  return {Variable(random_tensor(Shape{3, 2, 3, 4}, 21), true), Variable(random_tensor(Shape{5, 1, 1, 4}, 22), true),
          Variable(random_tensor(Shape{5}, 23), true), Variable(random_tensor(Shape{5}, 24), true)};
}

test::Function layer_function(const ops::BatchNormState& state, bool training, bool folded) {
  return [=](const std::vector<Variable>& v) {
    ops::BatchNormState copy = copy_of(state, v[0].value().dtype());
    const Variable weight = folded ? ops::fold_batchnorm(v[1], v[2], copy) : v[1];
    const Variable z = ops::conv2d(v[0], weight, {});
    return ops::affine_act(z, ops::batchnorm_affine(z, v[2], v[3], copy, training, folded), ops::Activation::none);
  };
}

TEST(FoldedBatchNorm, GradientsMatchDifferences) {
  for (const bool training : {true, false}) {
    const ops::BatchNormState state = state_of(5);
    EXPECT_EQ(gradient_error(layer_function(state, training, true), layer()), "") << training;
    EXPECT_EQ(f32_error(layer_function(state, training, true), layer(), 1e-4), "") << training;
    EXPECT_EQ(gradient_error(
                  [&](const std::vector<Variable>& v) {
                    ops::BatchNormState copy = copy_of(state, DType::f64);
                    return ops::batchnorm_affine(v[0], v[1], v[2], copy, training, true);
                  },
                  leaves(Shape{6, 5}, 0.5, 0.7)),
              "")
        << training;
  }
}

/// Without a quantizer in between, the factor cancels out.
TEST(FoldedBatchNorm, IsBatchNorm) {
  for (const bool training : {true, false}) {
    const ops::BatchNormState state = state_of(5);
    std::vector<Variable> kept = layer(), folded = layer();
    const Variable a = layer_function(state, training, false)(kept), b = layer_function(state, training, true)(folded);
    const Tensor gradient = random_tensor(a.shape(), 25);
    a.backward(gradient), b.backward(gradient);
    for (std::int64_t i = 0; i < a.value().numel(); ++i) ASSERT_NEAR(a.value().at(i), b.value().at(i), 1e-12);
    for (std::size_t k = 0; k < kept.size(); ++k)
      for (std::int64_t i = 0; i < kept[k].value().numel(); ++i)
        ASSERT_NEAR(kept[k].grad().at(i), folded[k].grad().at(i), 1e-10) << "training " << training << " input " << k;
  }
}

TEST(FoldedBatchNorm, RunningStatisticsAreThoseWithoutTheFactor) {
  const auto in = layer();
  ops::BatchNormState kept = copy_of(state_of(5), DType::f64), folded = copy_of(kept, DType::f64);
  const Variable z = ops::conv2d(in[0], in[1], {}),
                 f = ops::conv2d(in[0], ops::fold_batchnorm(in[1], in[2], folded), {});
  ops::batchnorm_affine(z, in[2], in[3], kept, true);
  ops::batchnorm_affine(f, in[2], in[3], folded, true, true);
  for (std::int64_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(kept.running_mean.at(c), folded.running_mean.at(c), 1e-12);
    EXPECT_NEAR(kept.running_var.at(c), folded.running_var.at(c), 1e-12);
  }
}

TEST(FoldedBatchNorm, EvaluationScalesByExactlyOne) {
  ops::BatchNormState state = state_of(3, DType::f32);
  const Variable gamma(random_tensor(Shape{3}, 5, DType::f32)), beta(random_tensor(Shape{3}, 6, DType::f32));
  const Tensor affine = ops::batchnorm_affine({}, gamma, beta, state, false, true).value();
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto factor = static_cast<float>(gamma.value().at(c) / std::sqrt(state.running_var.at(c) + 1e-5));
    EXPECT_EQ(affine.at(c), 1);
    EXPECT_EQ(affine.at(3 + c), static_cast<float>(beta.value().at(c) - state.running_mean.at(c) * factor));
  }
}

/// γ = 0, next to nothing, and weights that a grid has made 0: nothing that is not finite, nothing learned about a
/// variance.
TEST(FoldedBatchNorm, DeadChannelsStayFinite) {
  ops::BatchNormState state = state_of(4, DType::f32);
  const Tensor var = state.running_var.clone(), mean = state.running_mean.clone();
  Variable gamma(Tensor::from<float>({4}, std::vector<float>{0, 1e-30f, 1, 1}), true),
      beta(Tensor::full({4}, 0.5), true);
  Tensor values = random_tensor(Shape{6, 4}, 3, DType::f32);
  for (std::int64_t i = 0; i < 6; ++i)
    values.data<float>()[4 * i] = 0, values.data<float>()[4 * i + 1] *= 1e-30f, values.data<float>()[4 * i + 2] = 0;
  Variable z(values, true);
  const Variable y =
      ops::affine_act(z, ops::batchnorm_affine(z, gamma, beta, state, true, true), ops::Activation::none);
  y.backward(Tensor::full(y.shape(), 1));
  for (const Tensor& t : {y.value(), z.grad(), gamma.grad(), beta.grad(), state.running_mean, state.running_var})
    for (std::int64_t i = 0; i < t.numel(); ++i) EXPECT_TRUE(std::isfinite(t.at(i)));
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(static_cast<float>(y.value().at(4 * i + 2)), 0.5f);
  for (std::int64_t c : {0, 1}) EXPECT_EQ(state.running_mean.at(c), mean.at(c));
  for (std::int64_t c : {0, 1, 2}) EXPECT_EQ(state.running_var.at(c), var.at(c));
  EXPECT_FLOAT_EQ(static_cast<float>(state.running_mean.at(2)), static_cast<float>(0.9 * mean.at(2)));
  EXPECT_NE(state.running_var.at(3), var.at(3));
}

TEST(FoldedBatchNorm, RefusesWhatDoesNotFit) {
  ops::BatchNormState state = state_of(3);
  const Variable gamma(random_tensor(Shape{3}, 5));
  EXPECT_NE(error_of([&] {
              ops::fold_batchnorm(Variable(random_tensor(Shape{4, 2}, 1)), gamma, state);
            }).find("[fold_batchnorm] gamma must have shape 4"),
            std::string::npos);
  state.epsilon = 0;
  EXPECT_NE(error_of([&] {
              ops::fold_batchnorm(Variable(random_tensor(Shape{3, 2}, 1)), gamma, state);
            }).find("epsilon 0"),
            std::string::npos);
}

TEST(AffineAct, GradientsMatchDifferences) {
  for (const ops::Activation act : {ops::Activation::none, ops::Activation::relu, ops::Activation::relu6}) {
    std::vector<Variable> in{Variable(random_tensor(Shape{3, 2, 2, 3}, 1, DType::f64, 4.0), true),
                             Variable(random_tensor(Shape{2, 3}, 2), true)};
    EXPECT_EQ(gradient_error([&](const std::vector<Variable>& v) { return ops::affine_act(v[0], v[1], act); }, in), "");
  }
}

TEST(BatchNorm, TrainingNormalisesAndUpdatesTheState) {
  for (const bool unbiased : {false, true}) {
    ops::BatchNormState state = state_of(1, DType::f32);
    state.running_mean.fill(10);
    state.running_var.fill(20);
    state.unbiased = unbiased;
    Variable z(Tensor::from(Shape{4, 1}, std::vector<float>{1, 2, 3, 6}));
    Variable gamma(Tensor::full(Shape{1}, 2)), beta(Tensor::full(Shape{1}, 0.5));
    const Tensor y = ops::batchnorm(z, gamma, beta, state, true).value();
    const double mean = 3, var = 3.5;  // biased
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(y.at(i), 2 * (z.value().at(i) - mean) / std::sqrt(var + 1e-5) + 0.5, 1e-6);
    }
    EXPECT_NEAR(state.running_mean.item(), 0.9 * 10 + 0.1 * mean, 1e-6);
    EXPECT_NEAR(state.running_var.item(), 0.9 * 20 + 0.1 * (unbiased ? var * 4 / 3 : var), 1e-5);
  }
}

TEST(BatchNorm, EvaluationUsesTheStateAndLeavesItAlone) {
  ops::BatchNormState state = state_of(3);
  const Tensor mean = state.running_mean.clone(), var = state.running_var.clone();
  Variable gamma(random_tensor(Shape{3}, 1)), beta(random_tensor(Shape{3}, 2));
  const Tensor affine = ops::batchnorm_affine({}, gamma, beta, state, false).value();
  ASSERT_EQ(affine.shape(), (Shape{2, 3}));
  for (int c = 0; c < 3; ++c) {
    const double scale = gamma.value().at(c) / std::sqrt(1.7 + 1e-5);
    EXPECT_NEAR(affine.at(c), scale, 1e-12);
    EXPECT_NEAR(affine.at(3 + c), beta.value().at(c) - mean.at(c) * scale, 1e-12);
    EXPECT_EQ(state.running_mean.at(c), mean.at(c));
    EXPECT_EQ(state.running_var.at(c), var.at(c));
  }
}

// A channel that is constant (a dead one) has variance 0, which the kernel clamps: gradients stay finite and exact.
TEST(BatchNorm, ConstantChannels) {
  for (const double value : {0.0, 1e-22, 5.0, -1234.5}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      ops::BatchNormState state = state_of(2, dtype);
      Tensor z = random_tensor(Shape{6, 2}, 3);
      for (int i = 0; i < 6; ++i) z.data<double>()[2 * i] = value;
      Variable src(z.to(dtype), true), gamma(Tensor::full(Shape{2}, 1.5, dtype), true),
          beta(Tensor::full(Shape{2}, 0.25, dtype), true);
      Variable y = ops::batchnorm(src, gamma, beta, state, true);
      EXPECT_NEAR(y.value().at(0), 0.25, dtype == DType::f32 ? std::abs(value) * 5e-5 : 1e-9);
      const Tensor g = random_tensor(Shape{6, 2}, 4).to(dtype);
      double mean_g = 0;
      for (int i = 0; i < 6; ++i) mean_g += g.at(2 * i) / 6;
      y.backward(g);
      const double scale = 1.5 / std::sqrt(1e-5);  // 474
      for (int i = 0; i < 6; ++i) {
        EXPECT_NEAR(src.grad().at(2 * i), scale * (g.at(2 * i) - mean_g), scale * (dtype == DType::f32 ? 1e-6 : 1e-9))
            << value;
      }
    }
  }
}

TEST(BatchNorm, OnePixelInTraining) {
  ops::BatchNormState state = state_of(2);
  state.unbiased = true;
  auto in = leaves(Shape{1, 2});
  Variable y = ops::batchnorm(in[0], in[1], in[2], state, true);
  EXPECT_NEAR(y.value().at(0), in[2].value().at(0), 1e-9);
  y.backward(Tensor::full(Shape{1, 2}, 1, DType::f64));
  EXPECT_NEAR(in[0].grad().at(0), 0, 1e-9);
  EXPECT_TRUE(std::isfinite(state.running_var.at(0)));
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  ops::BatchNormState state = state_of(3);
  Variable gamma(random_tensor(Shape{3}, 1)), beta(random_tensor(Shape{3}, 2)), z(random_tensor(Shape{2, 4}, 3));
  EXPECT_NE(error_of([&] {
              ops::batchnorm(z, gamma, beta, state, true);
            }).find("3 channels innermost as gamma has, its shape is 2x4"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::batchnorm_affine({}, gamma, beta, state, true); }).find("training needs z"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { ops::batchnorm_affine({}, gamma, z, state, false); }).find("beta must have shape 3, it has 2x4"),
      std::string::npos);
  ops::BatchNormState wrong = state_of(4);
  EXPECT_NE(
      error_of([&] { ops::batchnorm_affine({}, gamma, beta, wrong, false); }).find("running statistics are f64 4"),
      std::string::npos);
  wrong = state_of(3);
  wrong.epsilon = 0;
  EXPECT_NE(error_of([&] { ops::batchnorm_affine({}, gamma, beta, wrong, false); }).find("epsilon 0"),
            std::string::npos);
  ops::BatchNormState none;
  EXPECT_NE(
      error_of([&] { ops::batchnorm_affine({}, gamma, beta, none, false); }).find("running statistics is undefined"),
      std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::affine_act(z, Variable(random_tensor(Shape{2, 3}, 1)), ops::Activation::relu);
            }).find("affine must have shape 2x4, it has 2x3"),
            std::string::npos);
}

}  // namespace
}  // namespace octet
