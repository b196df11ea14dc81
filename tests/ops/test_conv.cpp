// conv2d, dwconv2d and linear: gradients, agreement of f32 with f64, and what they refuse.
#include <gtest/gtest.h>

#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::f32_error;
using test::gradient_error;
using test::random_tensor;

struct Case {
  std::int64_t n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w;
  ops::Conv2dArgs args() const { return {stride_h, stride_w, pad_h, pad_w}; }
  std::string str() const {
    return fmt::format("n{} {}x{}x{} k{} {}x{} s{}x{} p{}x{}", n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w);
  }
};

const std::vector<Case> kCases = {
    {2, 5, 5, 3, 4, 3, 3, 1, 1, 1, 1}, {1, 1, 1, 3, 5, 1, 1, 1, 1, 0, 0}, {2, 4, 3, 5, 7, 1, 1, 1, 1, 0, 0},
    {1, 7, 6, 2, 3, 3, 3, 2, 2, 1, 1}, {1, 5, 7, 1, 1, 5, 3, 1, 2, 2, 0}, {2, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1},
    {1, 6, 5, 3, 2, 2, 3, 3, 1, 0, 2}, {1, 4, 4, 2, 3, 1, 1, 2, 2, 0, 0}, {1, 3, 3, 2, 2, 3, 3, 1, 1, 0, 0},
    {1, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1},
};

Variable f64_leaf(const Shape& shape, std::uint64_t seed, bool requires_grad = true) {
  return Variable(random_tensor(shape, seed), requires_grad);
}

TEST(Conv2d, GradientsMatchDifferences) {
  for (const Case& c : kCases) {
    for (const bool with_bias : {true, false}) {
      std::vector<Variable> in{f64_leaf({c.n, c.h, c.w, c.c}, 1), f64_leaf({c.k, c.r, c.s, c.c}, 2)};
      if (with_bias) in.push_back(f64_leaf({c.k}, 3));
      const auto f = [&](const std::vector<Variable>& v) {
        return ops::conv2d(v[0], v[1], with_bias ? v[2] : Variable(), c.args());
      };
      EXPECT_EQ(gradient_error(f, in), "") << c.str();
      EXPECT_EQ(f32_error(f, in), "") << c.str();
    }
  }
}

TEST(DwConv2d, GradientsMatchDifferences) {
  for (const Case& c : kCases) {
    for (const bool with_bias : {true, false}) {
      std::vector<Variable> in{f64_leaf({c.n, c.h, c.w, c.c}, 1), f64_leaf({c.c, c.r, c.s, 1}, 2)};
      if (with_bias) in.push_back(f64_leaf({c.c}, 3));
      const auto f = [&](const std::vector<Variable>& v) {
        return ops::dwconv2d(v[0], v[1], with_bias ? v[2] : Variable(), c.args());
      };
      EXPECT_EQ(gradient_error(f, in), "") << c.str();
      EXPECT_EQ(f32_error(f, in), "") << c.str();
    }
  }
}

TEST(Linear, GradientsMatchDifferences) {
  for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {3, 5, 7}, {4, 2, 33}, {17, 3, 1}}) {
    std::vector<Variable> in{f64_leaf({m, k}, 1), f64_leaf({n, k}, 2), f64_leaf({n}, 3)};
    const auto f = [](const std::vector<Variable>& v) { return ops::linear(v[0], v[1], v[2]); };
    const auto without = [](const std::vector<Variable>& v) { return ops::linear(v[0], v[1], {}); };
    EXPECT_EQ(gradient_error(f, in), "") << m << " " << n << " " << k;
    EXPECT_EQ(gradient_error(without, {in[0], in[1]}), "") << m << " " << n << " " << k;
    EXPECT_EQ(f32_error(f, in), "") << m << " " << n << " " << k;
  }
}

TEST(Conv2d, KnownValue) {
  Variable src(Tensor::from(Shape{1, 2, 2, 1}, std::vector<float>{1, 2, 3, 4}));
  Variable weight(Tensor::from(Shape{1, 2, 2, 1}, std::vector<float>{1, 10, 100, 1000}));
  Variable bias(Tensor::from(Shape{1}, std::vector<float>{0.5f}));
  EXPECT_EQ(ops::conv2d(src, weight, bias).value().at(0), 4321.5);
  const Tensor padded = ops::conv2d(src, weight, {}, {1, 1, 1, 1}).value();
  EXPECT_EQ(padded.shape(), (Shape{1, 3, 3, 1}));
  EXPECT_EQ(padded.at(0), 1000);
  EXPECT_EQ(padded.at(8), 4);
}

TEST(Conv2d, OnlyNeededGradientsAreMade) {
  // A frozen layer below a trainable input, and the other way round.
  for (int which = 0; which < 3; ++which) {
    std::vector<Variable> in{f64_leaf({1, 4, 4, 2}, 1, which == 0), f64_leaf({3, 3, 3, 2}, 2, which == 1),
                             f64_leaf({3}, 3, which == 2)};
    EXPECT_EQ(gradient_error(
                  [](const std::vector<Variable>& v) {
                    return ops::conv2d(v[0], v[1], v[2], {1, 1, 1, 1});
                  },
                  in),
              "");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(in[static_cast<std::size_t>(i)].grad().defined(), i == which);
  }
}

TEST(Conv2d, RefusesWhatDoesNotFit) {
  Variable src(Tensor::zeros(Shape{8, 16, 16, 32})), weight(Tensor::zeros(Shape{64, 1, 1, 64}));
  EXPECT_EQ(error_of([&] { ops::conv2d(src, weight, {}); }),
            "[conv2d] src has 32 channels, weight expects 64 (src 8x16x16x32, weight 64x1x1x64)");
  EXPECT_NE(error_of([&] { ops::conv2d({}, weight, {}); }).find("[conv2d] src is undefined"), std::string::npos);
  EXPECT_NE(error_of([&] { ops::conv2d(src, {}, {}); }).find("[conv2d] weight is undefined"), std::string::npos);
  Variable fits(Tensor::zeros(Shape{4, 3, 3, 32}));
  EXPECT_NE(error_of([&] {
              ops::conv2d(src, fits, Variable(Tensor::zeros(Shape{5})));
            }).find("bias must have shape 4, it has 5"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::conv2d(src, fits, {}, {0, 1, 0, 0}); }).find("stride 0x1"), std::string::npos);
  EXPECT_NE(error_of([&] { ops::conv2d(src, fits, {}, {1, 1, -1, 0}); }).find("padding -1x0"), std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(src, fits, {}, {1, 1, std::int64_t{1} << 62, 0});
            }).find("out of range"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(Variable(Tensor::zeros(Shape{1, 2, 2, 32})), fits, {});
            }).find("window 3x3 does not fit the padded map 2x2"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(Variable(Tensor::zeros(Shape{2, 2})), fits, {});
            }).find("src must be N,H,W,C"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(Variable(Tensor::zeros(Shape{0, 4, 4, 32})), fits, {});
            }).find("src has no elements"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(Variable(Tensor::zeros(Shape{1, 4, 4, 32}, DType::f64)), fits, {});
            }).find("weight is f32, the other operands are f64"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              ops::conv2d(Variable(Tensor::zeros(Shape{1, 4, 4, 32}, DType::u8)), fits, {});
            }).find("it is u8"),
            std::string::npos);
}

TEST(DwConv2d, RefusesWhatDoesNotFit) {
  Variable src(Tensor::zeros(Shape{1, 4, 4, 3}));
  EXPECT_EQ(error_of([&] {
              ops::dwconv2d(src, Variable(Tensor::zeros(Shape{4, 3, 3, 1})), {});
            }),
            "[dwconv2d] src has 3 channels, weight expects 4 (src 1x4x4x3, weight 4x3x3x1)");
  EXPECT_NE(error_of([&] {
              ops::dwconv2d(src, Variable(Tensor::zeros(Shape{3, 3, 3, 3})), {});
            }).find("weight must be C,R,S,1"),
            std::string::npos);
}

TEST(Linear, RefusesWhatDoesNotFit) {
  Variable weight(Tensor::zeros(Shape{10, 8}));
  EXPECT_NE(error_of([&] {
              ops::linear(Variable(Tensor::zeros(Shape{2, 1, 1, 8})), weight, {});
            }).find("---> HINT put a flatten"),
            std::string::npos);
  EXPECT_EQ(error_of([&] {
              ops::linear(Variable(Tensor::zeros(Shape{2, 7})), weight, {});
            }),
            "[linear] src has 7 features, weight expects 8 (src 2x7, weight 10x8)");
}

}  // namespace
}  // namespace octet
