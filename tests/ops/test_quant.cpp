// The straight-through ops have no derivative to difference: they are held against their closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/qmath.h"
#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::error_of;
using test::gradient_error;
using test::random_tensor;

QuantParams grid(std::vector<float> scale, std::int32_t z, std::int32_t lo, std::int32_t hi,
                 QuantRule rule = QuantRule::onnx) {
  QuantParams params;
  params.scale = std::move(scale);
  params.zero_point = z, params.lo = lo, params.hi = hi, params.rule = rule;
  if (params.per_channel()) params.axis = 0;
  return params;
}

const float kTiny = std::numeric_limits<float>::min();

TEST(FakeQuantWeight, IsFakeQuantOnItsOwnAbsMax) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle})
    for (const std::int64_t k : {1, 6}) {
      const Variable w(random_tensor(Shape{k, 2, 1, 5}, 7, DType::f32), true);
      const ops::QuantizedWeight made = ops::fake_quant_weight(w, grid({}, 0, -127, 127, rule));
      std::vector<float> scale;
      for (std::int64_t i = 0; i < k; ++i) {
        float top = 0;
        for (std::int64_t j = 0; j < 10; ++j) top = std::max(top, std::fabs(w.value().data<float>()[10 * i + j]));
        scale.push_back(rule == QuantRule::onnx ? top / 127 : top);
      }
      const QuantParams expected = grid(scale, 0, -127, 127, rule);
      EXPECT_EQ(made.codes.params, expected);
      const Variable wanted = ops::fake_quant(w, expected, false);
      EXPECT_EQ(made.codes.codes.defined(), rule == QuantRule::onnx);
      for (std::int64_t i = 0; i < 10 * k; ++i) {
        EXPECT_EQ(made.value.value().at(i), wanted.value().at(i));
        if (rule == QuantRule::paddle) continue;
        EXPECT_EQ(made.codes.codes.at(i),
                  expected.quantize(w.value().data<float>()[i], static_cast<std::size_t>(i / 10)));
      }
      made.value.backward(Tensor::full(w.shape(), 3));
      EXPECT_EQ(w.grad().at(0), 3);
    }
}

TEST(FakeQuantWeight, RefusesWhatHasNoGrid) {
  const QuantParams bounds = grid({}, 0, -127, 127);
  Tensor w = random_tensor(Shape{3, 4}, 1, DType::f32);
  w.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(error_of([&] { ops::fake_quant_weight(Variable(w), bounds); }).find("scale 1 is nan"), std::string::npos);
  w.data<float>()[5] = std::numeric_limits<float>::infinity();
  EXPECT_NE(error_of([&] { ops::fake_quant_weight(Variable(w), bounds); }).find("scale 1 is inf"), std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant_weight(Variable(w.to(DType::f64)), bounds); }).find("must be f32"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant_weight(Variable(w), grid({}, 3, 0, 255)); }).find("around 0"),
            std::string::npos);
}

TEST(FakeQuant, OnnxRulePerTensor) {
  const QuantParams params = grid({0.1f}, 3, 0, 15);
  Tensor x = random_tensor(Shape{5, 7}, 1, DType::f32);
  x.data<float>()[0] = 100, x.data<float>()[1] = -100, x.data<float>()[2] = 1.2f, x.data<float>()[3] = -0.3f,
  x.data<float>()[4] = kTiny;
  Variable src(x, true);
  Variable dst = ops::fake_quant(src, params);
  const Tensor g = random_tensor(Shape{5, 7}, 2, DType::f32);
  dst.backward(g);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const float v = x.data<float>()[i];
    EXPECT_EQ(dst.value().data<float>()[i], params.dequantize(params.quantize(v))) << v;
    const float t = v / 0.1f;  // before rounding
    const bool inside = t >= -3 && t <= 12;
    EXPECT_EQ(src.grad().at(i), inside ? g.at(i) : 0.0) << v;
  }
}

TEST(FakeQuant, UnmaskedPassesEverything) {
  Variable src(random_tensor(Shape{30}, 1, DType::f32, 10), true);
  const Tensor g = random_tensor(Shape{30}, 2, DType::f32);
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    src.zero_grad();
    ops::fake_quant(src, grid({0.5f}, 0, -7, 7, rule), false).backward(g);
    for (std::int64_t i = 0; i < 30; ++i) EXPECT_EQ(src.grad().at(i), g.at(i));
  }
}

TEST(FakeQuant, PerChannelWeights) {
  const QuantParams params = grid({0.1f, 2.0f, kMinScale}, 0, -127, 127);
  Tensor x = random_tensor(Shape{3, 2, 2, 2}, 3, DType::f32, 4);
  Variable src(x, true);
  Variable dst = ops::fake_quant(src, params);
  dst.backward(Tensor::full(x.shape(), 1));
  for (std::int64_t i = 0; i < 24; ++i) {
    const auto c = static_cast<std::size_t>(i / 8);
    const float v = x.data<float>()[i];
    EXPECT_EQ(dst.value().data<float>()[i], params.dequantize(params.quantize(v, c), c));
    EXPECT_EQ(src.grad().at(i), std::abs(v / params.scale[c]) <= 127 ? 1 : 0);
  }
}

TEST(FakeQuant, PaddleRule) {
  const QuantParams params = grid({1.5f}, 0, -127, 127, QuantRule::paddle);
  Tensor x = random_tensor(Shape{64}, 3, DType::f32, 2);
  x.data<float>()[0] = 1.5f, x.data<float>()[1] = -1.5f, x.data<float>()[2] = 9;
  for (const bool masked : {true, false}) {
    Variable src(x, true);
    Variable dst = ops::fake_quant(src, params, masked);
    dst.backward(Tensor::full(x.shape(), 1));
    for (std::int64_t i = 0; i < 64; ++i) {
      const float v = x.data<float>()[i];
      EXPECT_EQ(dst.value().data<float>()[i],
                qmath::dequantize_paddle(qmath::quantize_paddle(v, 1.5f, 127), 1.5f, 127));
      EXPECT_EQ(src.grad().at(i), !masked || std::abs(v) <= 1.5f ? 1 : 0) << v << " masked " << masked;
    }
  }
}

TEST(FakeQuant, DoubleAgreesWithFloatAwayFromTies) {
  const QuantParams params = grid({0.25f}, 0, -127, 127);  // x / s and q·s are exact
  const Tensor x = random_tensor(Shape{200}, 9, DType::f32, 8);
  const Tensor a = ops::fake_quant(Variable(x), params).value(),
               b = ops::fake_quant(Variable(x.to(DType::f64)), params).value();
  for (std::int64_t i = 0; i < 200; ++i) EXPECT_EQ(a.at(i), b.at(i));
}

TEST(FakeQuant, RefusesWhatDoesNotFit) {
  Variable x(Tensor::zeros(Shape{4, 3}));
  EXPECT_NE(error_of([&] {
              ops::fake_quant(x, grid({1, 1, 1}, 0, -127, 127));
            }).find("3 scales fit neither"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant(x, grid({}, 0, -127, 127)); }).find("0 scales"), std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant(x, grid({0}, 0, -127, 127)); }).find("scale 0 is 0 ---> HINT"),
            std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant(x, grid({std::nanf("")}, 0, -127, 127)); }).find("scale 0 is nan"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { ops::fake_quant(x, grid({1}, 200, -127, 127)); }).find("zero point 200 and bounds [-127, 127]"),
      std::string::npos);
  EXPECT_NE(error_of([&] { ops::fake_quant(x, grid({1}, 0, 5, 5)); }).find("no grid"), std::string::npos);
  QuantParams params = grid({1, 1, 1, 1}, 0, -127, 127);
  params.axis = 1;
  EXPECT_NE(error_of([&] { ops::fake_quant(x, params); }).find("along axis 0, not 1"), std::string::npos);
}

// dL/ds = gradient_scale · Σ g·(q − x/s inside, a bound outside).
TEST(FakeQuantLearned, StepGradientHasTheClosedForm) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::vector<double> steps{0.3, 0.05};
    Tensor x = random_tensor(Shape{2, 50}, 3).to(dtype);
    const Tensor g = random_tensor(Shape{2, 50}, 4).to(dtype);
    Variable src(x, true), step(Tensor::from(Shape{2}, steps).to(dtype), true);
    const QuantParams params = grid({1}, 0, -7, 7);
    ops::fake_quant_learned(src, step, params, 0.125).backward(g);
    for (std::int64_t c = 0; c < 2; ++c) {
      const double s = static_cast<float>(steps[static_cast<std::size_t>(c)]);
      double expected = 0;
      for (std::int64_t i = c * 50; i < (c + 1) * 50; ++i) {
        const double t = x.at(i) / s;
        const bool inside = t >= -7 && t <= 7;
        expected += g.at(i) * (inside ? std::rint(t) - t : (t > 0 ? 7 : -7));
        EXPECT_EQ(src.grad().at(i), inside ? g.at(i) : 0.0);
      }
      EXPECT_NEAR(step.grad().at(c), 0.125 * expected, dtype == DType::f32 ? 1e-4 : 1e-9);
    }
  }
}

TEST(FakeQuantLearned, OneStepWithAZeroPoint) {
  Variable src(Tensor::from(Shape{3}, std::vector<double>{10, -10, 0.26}), true);
  Variable step(Tensor::from(Shape{1}, std::vector<double>{0.5}), true);
  Variable dst = ops::fake_quant_learned(src, step, grid({1}, 4, 0, 15), 1.0);
  EXPECT_EQ(dst.value().at(0), 5.5);
  EXPECT_EQ(dst.value().at(1), -2.0);
  EXPECT_EQ(dst.value().at(2), 0.5);
  dst.backward(Tensor::full(Shape{3}, 1, DType::f64));
  EXPECT_NEAR(step.grad().item(), 11 - 4 + (1 - 0.52), 1e-12);
}

// dx̂/ds = round(x̄) − x̄ inside, lo or hi outside; dx̂/dβ = 0 inside, 1 outside; x̄ = (x − β)/s (Bhalgat et al. 2020,
// equations 3 and 4).
TEST(FakeQuantLearned, StepAndOffsetGradientsHaveTheClosedForms) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const std::int32_t z : {0, 3, 15}) {
      const double s = 0.125, beta = -z * s;
      const Tensor x = random_tensor(Shape{4, 60}, 5, DType::f64, 2.0).to(dtype),
                   g = random_tensor(Shape{4, 60}, 6).to(dtype);
      Variable src(x, true), step(Tensor::full(Shape{1}, s, dtype), true),
          offset(Tensor::full(Shape{1}, beta, dtype), true);
      const Variable dst = ops::fake_quant_learned(src, step, offset, grid({1}, z, 0, 15), 0.25);
      dst.backward(g);
      double d_step = 0, d_offset = 0;
      for (std::int64_t i = 0; i < x.numel(); ++i) {
        const double at = (x.at(i) - beta) / s;
        const bool below = at<0, above = at> 15;
        EXPECT_EQ(dst.value().at(i), (below ? 0 : above ? 15 : std::rint(at)) * s + beta);
        EXPECT_EQ(src.grad().at(i), below || above ? 0 : g.at(i));
        d_step += g.at(i) * (below ? 0 : above ? 15 : std::rint(at) - at);
        d_offset += below || above ? g.at(i) : 0;
      }
      EXPECT_NEAR(step.grad().item(), 0.25 * d_step, dtype == DType::f32 ? 1e-4 : 1e-12) << z;
      EXPECT_NEAR(offset.grad().item(), 0.25 * d_offset, dtype == DType::f32 ? 1e-5 : 1e-12) << z;
    }
}

TEST(FakeQuantLearned, AnOffsetBelongsToOneStep) {
  const Variable src(random_tensor(Shape{2, 3}, 1, DType::f32)), two(Tensor::full({2}, 1)), one(Tensor::full({1}, 0));
  EXPECT_NE(error_of([&] {
              ops::fake_quant_learned(src, two, one, grid({1}, 0, 0, 15), 1);
            }).find("an offset belongs to one step"),
            std::string::npos);
}

TEST(FakeQuantLearned, AStepDrivenThroughZeroStaysUsable) {
  Variable src(Tensor::from(Shape{2}, std::vector<float>{1, -1}), true), step(Tensor::full(Shape{1}, -0.1), true);
  Variable dst = ops::fake_quant_learned(src, step, grid({1}, 0, -7, 7), 1.0);
  EXPECT_FLOAT_EQ(static_cast<float>(dst.value().at(0)), 7 * kMinScale);
  dst.backward(Tensor::from(Shape{2}, std::vector<float>{-1, 1}));
  EXPECT_EQ(step.grad().item(), -14) << "the update must lead back to positive steps";
  step.value().fill(std::nan(""));
  EXPECT_NE(error_of([&] { ops::fake_quant_learned(src, step, grid({1}, 0, -7, 7), 1.0); }).find("step 0 is nan"),
            std::string::npos);
}

TEST(Pact, GradientsMatchDifferences) {
  for (const double alpha : {0.7, 2.0, 100.0}) {
    std::vector<Variable> in{Variable(random_tensor(Shape{60}, 5, DType::f64, 1.5, {alpha, -alpha}), true),
                             Variable(Tensor::full(Shape{1}, alpha, DType::f64), true)};
    EXPECT_EQ(gradient_error([](const std::vector<Variable>& v) { return ops::pact(v[0], v[1]); }, in), "") << alpha;
  }
}

TEST(Pact, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(Shape{70000}, 5, DType::f32), g = random_tensor(Shape{70000}, 6, DType::f32);
  const auto run = [&] {
    Variable src(x, true), alpha(Tensor::full(Shape{1}, 0.8), true);
    ops::pact(src, alpha).backward(g);
    return alpha.grad().item();
  };
  const int before = num_threads();
  set_num_threads(1);
  const double one = run();
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(run(), one);
  }
  set_num_threads(before);
  double expected = 0;
  for (std::int64_t i = 0; i < 70000; ++i)
    expected += std::abs(x.at(i)) > 0.8f ? std::copysign(g.at(i), g.at(i) * x.at(i)) : 0;
  EXPECT_NEAR(one, expected, 1e-2);
}

TEST(Pact, ClipsBothSides) {
  Variable x(Tensor::from(Shape{5}, std::vector<float>{-3, -1, 0.5, 1, 2}), true),
      alpha(Tensor::full(Shape{1}, 1), true);
  Variable y = ops::pact(x, alpha);
  const std::vector<double> expected{-1, -1, 0.5, 1, 1}, mask{0, 1, 1, 1, 0};
  y.backward(Tensor::from(Shape{5}, std::vector<float>{1, 2, 4, 8, 16}));
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(y.value().at(i), expected[static_cast<std::size_t>(i)]);
    EXPECT_EQ(x.grad().at(i), mask[static_cast<std::size_t>(i)] * std::exp2(static_cast<double>(i)));
  }
  EXPECT_EQ(alpha.grad().item(), 16 - 1);
  EXPECT_NE(error_of([&] { ops::pact(x, Variable(Tensor::zeros(Shape{2}))); }).find("alpha must be one number"),
            std::string::npos);
}

TEST(Dorefa, GradientsMatchDifferences) {
  for (const double top : {0.0, 0.5, 3.0}) {
    const Tensor constant = Tensor::full(Shape{1}, top, DType::f64);
    std::vector<Variable> in{Variable(random_tensor(Shape{60}, 5, DType::f64, 1.5, {0.03125, -0.03125}), true)};
    EXPECT_EQ(gradient_error([&](const std::vector<Variable>& v) { return ops::dorefa(v[0], constant); }, in), "")
        << top;
  }
  const Variable x(Tensor::zeros(Shape{3}));
  EXPECT_NE(error_of([&] { ops::dorefa(x, Tensor::zeros(Shape{2})); }).find("top must be one number"),
            std::string::npos);
}

Variable round_shift(const Variable& affine, float s_x, const std::vector<float>& s_w) {
  return ops::round_shift(affine, Tensor::from(Shape{1}, std::vector<float>{s_x}),
                          Tensor::from(Shape{static_cast<std::int64_t>(s_w.size())}, s_w));
}

TEST(RoundShift, RoundsTheShiftToTheAccumulatorsStep) {
  const float s_x = 0.02f;
  const std::vector<float> s_w{0.01f, 0.03f, 0.5f, 0.0f};
  Variable affine(Tensor::from(Shape{2, 4}, std::vector<float>{1.5f, -2, 0, 1, 0.12345f, -0.777f, 0.3f, 0.4f}), true);
  Variable dst = round_shift(affine, s_x, s_w);
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(dst.value().at(c), affine.value().at(c)) << "row 0 is not touched";
    const float folded = s_w[static_cast<std::size_t>(c)] * std::abs(static_cast<float>(affine.value().at(c)));
    const double step = static_cast<double>(s_x) * folded;
    const double shift = affine.value().at(4 + c);
    EXPECT_EQ(dst.value().at(4 + c), step == 0 ? shift : static_cast<float>(std::rint(shift / step) * step)) << c;
  }
  EXPECT_NE(dst.value().at(4), affine.value().at(4));
  const Tensor g = random_tensor(Shape{2, 4}, 6, DType::f32);
  dst.backward(g);
  for (std::int64_t i = 0; i < 8; ++i) EXPECT_EQ(affine.grad().at(i), g.at(i));
}

// The product s_w·|scale| is rounded to f32 as the engine's scale is; everything after it runs in double.
TEST(RoundShift, EveryRoundingIsWhereTheContractHasIt) {
  constexpr std::int64_t kChannels = 400;
  Random random(1, Purpose::test);
  Tensor affine(Shape{2, kChannels}, DType::f64);
  std::vector<float> s_w;
  for (std::int64_t c = 0; c < kChannels; ++c) {
    affine.data<double>()[c] = static_cast<float>(random.normal());
    affine.data<double>()[kChannels + c] = 1e4 * random.normal();
    s_w.push_back(static_cast<float>(random.uniform(1e-3, 1e-2)));
  }
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Tensor src = affine.to(dtype), dst = round_shift(Variable(src), 0.0123f, s_w).value();
    for (std::int64_t c = 0; c < kChannels; ++c) {
      const float folded = s_w[static_cast<std::size_t>(c)] * std::abs(static_cast<float>(src.at(c)));
      const double step = static_cast<double>(0.0123f) * folded, code = std::rint(src.at(kChannels + c) / step);
      const double expected = std::abs(code) > (1 << 30) ? src.at(kChannels + c) : code * step;
      EXPECT_EQ(dst.at(kChannels + c), dtype == DType::f32 ? static_cast<float>(expected) : expected) << c;
    }
  }
}

TEST(RoundShift, BiasesAndHugeCodes) {
  const double most = 536870912;  // code 2^30
  Variable bias(Tensor::from(Shape{4}, std::vector<double>{0.26, -0.24, most + 0.2, most + 0.8}));
  const Tensor dst = round_shift(bias, 0.5f, {1.0f}).value();
  EXPECT_EQ(dst.at(0), 0.5);
  EXPECT_EQ(dst.at(1), 0);
  EXPECT_EQ(dst.at(2), most);
  EXPECT_EQ(dst.at(3), most + 0.8) << "a code beyond 2^30 passes unrounded";
  EXPECT_TRUE(std::isnan(round_shift(Variable(Tensor::full(Shape{1}, std::nan(""))), 0.5f, {1.0f}).value().item()));
}

TEST(RoundShift, RefusesWhatDoesNotFit) {
  Variable affine(Tensor::zeros(Shape{2, 4}));
  EXPECT_NE(error_of([&] {
              round_shift(affine, 0.5f, {1, 1, 1});
            }).find("3 weight steps for 4 channels"),
            std::string::npos);
  EXPECT_NE(error_of([&] { round_shift(affine, 0.0f, {1}); }).find("input's step 0 is not a positive number"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              round_shift(Variable(Tensor::zeros(Shape{3, 4})), 0.5f, {1});
            }).find("its shape is 3x4"),
            std::string::npos);
}

QuantParams weight_bounds(QuantRule rule) {
  QuantParams bounds;
  bounds.lo = -7, bounds.hi = 7, bounds.rule = rule;
  return bounds;
}

TEST(GridDistance, ClosedForm) {
  const Variable x(Tensor::from(Shape{2, 4}, std::vector<float>{0.6f, -1.2f, 3.5f, 100, 1, -0.5f, 14, -15}), true);
  const Tensor scale = Tensor::from(Shape{2}, std::vector<float>{0.5f, 2});
  const Variable sum = ops::grid_distance(x, weight_bounds(QuantRule::onnx), scale);
  // Codes 1, -2, 7, clipped; 0 (half to even), -0, 7, clipped.
  EXPECT_FLOAT_EQ(static_cast<float>(sum.value().item()), 0.1f * 0.1f + 0.2f * 0.2f + 1 + 0.25f);
  sum.backward(Tensor::full({1}, 3));
  const float wanted[] = {0.6f, -1.2f, 0, 0, 6, -3, 0, 0};
  for (std::int64_t i = 0; i < 8; ++i) EXPECT_NEAR(x.grad().at(i), wanted[i], 1e-6) << i;
  // A threshold of 7 is a step of 1 under paddle, where halves go away from zero.
  const Variable half(Tensor::from(Shape{2}, std::vector<float>{0.5f, 2.25f}), true);
  const Variable away = ops::grid_distance(half, weight_bounds(QuantRule::paddle), Tensor::full({1}, 7));
  EXPECT_FLOAT_EQ(static_cast<float>(away.value().item()), 0.25f + 0.0625f);
  away.backward(Tensor::full({1}, 1));
  EXPECT_FLOAT_EQ(static_cast<float>(half.grad().at(0)), -1);
}

TEST(GridDistance, GradientsMatchDifferences) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    const Tensor scale = Tensor::from(Shape{3}, std::vector<float>{0.25f, 1, 4});
    std::vector<double> kinks;  // where a code flips, or the grid ends
    for (int q = -8; q <= 8; ++q)
      for (const double s : {0.25, 1.0, 4.0}) {
        const double step = rule == QuantRule::paddle ? s / 7 : s;
        kinks.push_back((q + 0.5) * step), kinks.push_back(7 * step), kinks.push_back(-7 * step);
      }
    const Variable x(test::random_tensor(Shape{3, 2, 5}, 4, DType::f64, 3.0, kinks, 1e-4), true);
    const auto f = [&](const std::vector<Variable>& v) { return ops::grid_distance(v[0], weight_bounds(rule), scale); };
    EXPECT_EQ(test::gradient_error(f, {x}), "");
    EXPECT_EQ(test::f32_error(f, {x}), "");
  }
}

TEST(GridDistance, SumsInRunsWhateverTheThreads) {
  Tensor values = test::random_tensor(Shape{5, 10000}, 9, DType::f32, 2.0);
  const Tensor scale = Tensor::full({5}, 0.25);
  const int before = num_threads();
  set_num_threads(1);
  const double one = ops::grid_distance(Variable(values), weight_bounds(QuantRule::onnx), scale).value().item();
  set_num_threads(3);
  EXPECT_EQ(ops::grid_distance(Variable(values), weight_bounds(QuantRule::onnx), scale).value().item(), one);
  set_num_threads(before);
  EXPECT_GT(one, 0);
}

TEST(GridDistance, RefusesWhatDoesNotFit) {
  const Variable x(Tensor::zeros({2, 3}));
  QuantParams affine = weight_bounds(QuantRule::onnx);
  affine.zero_point = 1;
  EXPECT_NE(test::error_of([&] { ops::grid_distance(x, affine, Tensor::full({1}, 1)); }).find("must be symmetric"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] {
              ops::grid_distance(x, weight_bounds(QuantRule::onnx), Tensor::full({3}, 1));
            }).find("3 scales fit neither"),
            std::string::npos);
}

}  // namespace
}  // namespace octet
