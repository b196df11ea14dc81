// Activations, add, mul_constant, concat, flatten, dropout.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;
using test::random_tensor;

Variable leaf(const Shape& shape, std::uint64_t seed, double scale = 1.0) {
  return Variable(random_tensor(shape, seed, DType::f64, scale, {0.0, 6.0}), true);
}

TEST(Activations, GradientsMatchDifferences) {
  for (const Shape& shape : {Shape{1}, Shape{3, 5}, Shape{2, 3, 3, 7}}) {
    for (const ops::Activation act : {ops::Activation::none, ops::Activation::relu, ops::Activation::relu6}) {
      const auto f = [&](const std::vector<Variable>& v) { return ops::activation(v[0], act); };
      EXPECT_EQ(gradient_error(f, {leaf(shape, 1, 5.0)}), "") << kernels::name_of(act);
      EXPECT_EQ(f32_error(f, {leaf(shape, 1, 5.0)}), "");
    }
  }
}

TEST(Activations, ValuesAndEdges) {
  Variable x(Tensor::from(Shape{6}, std::vector<double>{-1, 0, 0.5, 6, 7, -0.0}), true);
  const std::vector<double> relu{0, 0, 0.5, 6, 7, 0}, relu6{0, 0, 0.5, 6, 6, 0};
  const std::vector<double> d_relu{0, 0, 1, 1, 1, 0}, d_relu6{0, 0, 1, 0, 0, 0};
  Variable y = ops::relu(x), y6 = ops::relu6(x);
  y.backward(Tensor::full(Shape{6}, 1, DType::f64));
  const Tensor dx = x.grad();
  x.zero_grad();
  y6.backward(Tensor::full(Shape{6}, 1, DType::f64));
  for (std::size_t i = 0; i < 6; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    EXPECT_EQ(y.value().at(at), relu[i]);
    EXPECT_EQ(y6.value().at(at), relu6[i]);
    EXPECT_EQ(dx.at(at), d_relu[i]) << i;
    EXPECT_EQ(x.grad().at(at), d_relu6[i]) << i;
  }
}

TEST(Add, GradientsWithSharedInputs) {
  const auto twice = [](const std::vector<Variable>& v) { return ops::add(v[0], v[0]); };
  const auto thrice = [](const std::vector<Variable>& v) {
    Variable s = ops::add(v[0], v[1]);
    return ops::add(ops::add(s, ops::relu(s)), v[0]);
  };
  EXPECT_EQ(gradient_error(twice, {leaf(Shape{3, 3}, 1)}), "");
  EXPECT_EQ(gradient_error(thrice, {leaf(Shape{2, 2, 2, 3}, 1), leaf(Shape{2, 2, 2, 3}, 2)}), "");
  EXPECT_EQ(f32_error(thrice, {leaf(Shape{2, 2, 2, 3}, 1), leaf(Shape{2, 2, 2, 3}, 2)}), "");
}

TEST(Add, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of([&] {
              ops::add(leaf(Shape{2, 3}, 1), leaf(Shape{3, 2}, 1));
            }),
            "[add] shapes differ (a 2x3, b 3x2)");
  EXPECT_NE(error_of([&] { ops::add(leaf(Shape{2}, 1), Variable(Tensor::zeros(Shape{2}))); }).find("[add] b is f32"),
            std::string::npos);
}

TEST(MulConstant, GradientsMatchDifferences) {
  const Tensor constant = random_tensor(Shape{3, 4}, 8);
  EXPECT_EQ(gradient_error([&](const std::vector<Variable>& v) { return ops::mul_constant(v[0], constant); },
                           {leaf(Shape{3, 4}, 1)}),
            "");
  EXPECT_NE(error_of([&] {
              ops::mul_constant(leaf(Shape{4, 3}, 1), constant);
            }).find("operands differ (a f64 4x3, b f64 3x4)"),
            std::string::npos);
}

TEST(Concat, GradientsMatchDifferences) {
  const auto join = [](const std::vector<Variable>& v) { return ops::concat(v); };
  EXPECT_EQ(gradient_error(join, {leaf(Shape{2, 3, 1, 1}, 1), leaf(Shape{2, 3, 1, 4}, 2), leaf(Shape{2, 3, 1, 3}, 3)}),
            "");
  EXPECT_EQ(gradient_error(join, {leaf(Shape{5}, 1)}), "");
  const auto shared = [](const std::vector<Variable>& v) { return ops::concat({v[0], v[1], v[0]}); };
  EXPECT_EQ(gradient_error(shared, {leaf(Shape{700, 2}, 1), leaf(Shape{700, 1}, 2)}), "");
  EXPECT_EQ(f32_error(shared, {leaf(Shape{700, 2}, 1), leaf(Shape{700, 1}, 2)}), "");
}

TEST(Concat, ValuesAndErrors) {
  Variable a(Tensor::from(Shape{2, 1}, std::vector<float>{1, 2})),
      b(Tensor::from(Shape{2, 2}, std::vector<float>{3, 4, 5, 6}));
  const Tensor joined = ops::concat({a, b}).value();
  ASSERT_EQ(joined.shape(), (Shape{2, 3}));
  const std::vector<double> expected{1, 3, 4, 2, 5, 6};
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(joined.at(i), expected[static_cast<std::size_t>(i)]);
  EXPECT_NE(error_of([&] { ops::concat({}); }).find("nothing to join"), std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::concat({a, Variable(Tensor::zeros(Shape{3, 2}))});
            }).find("part 1 has shape 3x2, part 0 2x1"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::concat({a, Variable()}); }).find("part 1 is undefined"), std::string::npos);
}

TEST(Flatten, GradientsMatchDifferences) {
  EXPECT_EQ(gradient_error([](const std::vector<Variable>& v) { return ops::relu(ops::flatten(v[0])); },
                           {leaf(Shape{2, 3, 1, 4}, 1)}),
            "");
  EXPECT_EQ(ops::flatten(leaf(Shape{2, 3, 2, 4}, 1)).shape(), (Shape{2, 24}));
  EXPECT_EQ(ops::flatten(leaf(Shape{3}, 1)).shape(), (Shape{3, 1}));
}

TEST(Dropout, GradientsAndDeterminism) {
  const auto f = [](const std::vector<Variable>& v) { return ops::dropout(v[0], 0.4, 7, 3); };
  EXPECT_EQ(gradient_error(f, {leaf(Shape{4, 9}, 1)}), "");
  const Variable x(Tensor::full(Shape{20000}, 1));
  const auto values = [&](std::uint64_t seed, std::uint64_t step) {
    const Tensor y = ops::dropout(x, 0.25, seed, step).value();
    return std::vector<float>(y.data<float>(), y.data<float>() + y.numel());
  };
  const auto first = values(1, 2);
  const int threads = num_threads();
  set_num_threads(3);
  EXPECT_EQ(first, values(1, 2)) << "threads matter";
  set_num_threads(threads);
  EXPECT_NE(first, values(2, 2));
  EXPECT_NE(first, values(1, 3));
  EXPECT_FALSE(std::equal(first.begin(), first.begin() + 4096, first.begin() + 4096)) << "the mask repeats";
  std::int64_t zeros = 0;
  for (const float v : first) {
    if (v == 0)
      ++zeros;
    else
      EXPECT_EQ(v, static_cast<float>(1 / 0.75));
  }
  EXPECT_NEAR(static_cast<double>(zeros), 5000, 5 * std::sqrt(20000 * 0.25 * 0.75));
  EXPECT_EQ(ops::dropout(x, 0, 1, 1).node(), x.node());
  EXPECT_NE(error_of([&] { ops::dropout(x, 1, 1, 1); }).find("probability 1 is outside [0, 1)"), std::string::npos);
  EXPECT_NE(error_of([&] { ops::dropout(x, std::nan(""), 1, 1); }).find("probability nan"), std::string::npos);
}

}  // namespace
}  // namespace octet
