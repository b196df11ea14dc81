// What ops leave in the recorded graph: names, inputs in argument order, and attributes enough to run them again.
#include <gtest/gtest.h>

#include "gradcheck.h"
#include "ops/ops.h"

namespace octet {
namespace {

using test::random_tensor;

std::int64_t number(const Variable& v, const char* name) {
  return std::get<std::int64_t>(v.node()->attributes.at(name));
}
std::string text(const Variable& v, const char* name) { return std::get<std::string>(v.node()->attributes.at(name)); }

Variable constant(const Shape& shape, std::uint64_t seed = 1) {
  return Variable(random_tensor(shape, seed, DType::f32));
}

class Recorded : public ::testing::Test {
 protected:
  NoGrad no_grad_;
  RecordGuard recording_;
};

TEST_F(Recorded, Convolutions) {
  Variable x = constant({1, 5, 5, 2}), w = constant({3, 3, 3, 2}), b = constant({3});
  Variable y = ops::conv2d(x, w, b, {2, 1, 1, 0});
  EXPECT_EQ(y.node()->op, "conv2d");
  ASSERT_EQ(y.node()->inputs.size(), 3u);
  EXPECT_EQ(y.node()->inputs[0].node(), x.node());
  EXPECT_EQ(y.node()->inputs[1].node(), w.node());
  EXPECT_EQ(y.node()->inputs[2].node(), b.node());
  EXPECT_EQ(number(y, "stride_h"), 2);
  EXPECT_EQ(number(y, "stride_w"), 1);
  EXPECT_EQ(number(y, "pad_h"), 1);
  EXPECT_EQ(number(y, "pad_w"), 0);
  EXPECT_EQ(number(y, "has_bias"), 1);
  Variable d = ops::dwconv2d(x, constant({2, 3, 3, 1}), {});
  EXPECT_EQ(d.node()->op, "dwconv2d");
  EXPECT_EQ(d.node()->inputs.size(), 2u);
  EXPECT_EQ(number(d, "has_bias"), 0);
  Variable l = ops::linear(constant({2, 4}), constant({3, 4}), b);
  EXPECT_EQ(l.node()->op, "linear");
  EXPECT_EQ(number(l, "has_bias"), 1);
}

TEST_F(Recorded, BatchNorm) {
  ops::BatchNormState state;
  state.running_mean = Tensor::zeros(Shape{2});
  state.running_var = Tensor::full(Shape{2}, 1);
  state.epsilon = 1e-3;
  Variable z = constant({1, 2, 2, 2}), gamma = constant({2}), beta = constant({2});
  Variable y = ops::batchnorm(z, gamma, beta, state, false, ops::Activation::relu6);
  EXPECT_EQ(y.node()->op, "affine_act");
  EXPECT_EQ(text(y, "act"), "relu6");
  ASSERT_EQ(y.node()->inputs.size(), 2u);
  Variable affine = y.node()->inputs[1];
  EXPECT_EQ(affine.node()->op, "batchnorm_affine");
  EXPECT_EQ(affine.node()->inputs.size(), 3u);
  EXPECT_EQ(std::get<double>(affine.node()->attributes.at("epsilon")), 1e-3);
  EXPECT_EQ(number(affine, "has_z"), 1);
  EXPECT_EQ(number(ops::batchnorm_affine({}, gamma, beta, state, false), "has_z"), 0);
}

TEST_F(Recorded, TheRest) {
  Variable x = constant({2, 4, 4, 3});
  EXPECT_EQ(ops::relu(x).node()->op, "relu");
  EXPECT_EQ(ops::relu6(x).node()->op, "relu6");
  EXPECT_EQ(ops::add(x, x).node()->op, "add");
  EXPECT_EQ(ops::concat({x, x}).node()->inputs.size(), 2u);
  Variable pool = ops::max_pool(x, {3, 2, 1, 2, 1, 0});
  EXPECT_EQ(pool.node()->op, "max_pool");
  EXPECT_EQ(number(pool, "window_h"), 3);
  EXPECT_EQ(number(pool, "window_w"), 2);
  EXPECT_EQ(number(pool, "stride_h"), 1);
  EXPECT_EQ(number(pool, "stride_w"), 2);
  EXPECT_EQ(number(pool, "pad_h"), 1);
  EXPECT_EQ(number(pool, "pad_w"), 0);
  EXPECT_EQ(ops::avg_pool(x, {}).node()->op, "avg_pool");
  EXPECT_EQ(ops::global_avg_pool(x).node()->op, "global_avg_pool");
  EXPECT_EQ(ops::flatten(x).node()->op, "flatten");
  EXPECT_EQ(std::get<double>(ops::dropout(x, 0.5, 1, 2).node()->attributes.at("probability")), 0.5);
  QuantParams params;
  params.scale = {0.25f, 0.1f};
  params.axis = 0;
  Variable q = ops::fake_quant(x, params, false);
  EXPECT_EQ(q.node()->op, "fake_quant");
  EXPECT_EQ(number(q, "lo"), -127);
  EXPECT_EQ(number(q, "hi"), 127);
  EXPECT_EQ(number(q, "zero_point"), 0);
  EXPECT_EQ(number(q, "masked"), 0);
  EXPECT_EQ(text(q, "rule"), "onnx");
  EXPECT_EQ(text(q, "scale"), "0.25 0.1");
  EXPECT_EQ(ops::dorefa(x, Tensor::full({1}, 1)).node()->op, "dorefa");
  EXPECT_EQ(ops::pact(x, constant({1})).node()->op, "pact");
  EXPECT_EQ(text(ops::round_shift(constant({3}), Tensor::full({1}, 0.5), Tensor::full({1}, 0.25)), "s_w"), "0.25");
}

ops::Deferred deferred(const Variable& z, const Variable& affine, ops::Activation act) {
  ops::Deferred d;
  d.z = z, d.affine = affine, d.act = act;
  return d;
}

TEST(Materialise, AppliesAffineActivationAndQuantizer) {
  const Variable z(random_tensor(Shape{2, 3}, 1), true), affine(random_tensor(Shape{2, 3}, 2), true);
  const auto f = [](const std::vector<Variable>& v) {
    return ops::materialise(deferred(v[0], v[1], ops::Activation::relu));
  };
  EXPECT_EQ(test::gradient_error(f, {z, affine}), "");
  EXPECT_EQ(ops::materialise(deferred(z, {}, ops::Activation::none)).node(), z.node());
  EXPECT_EQ(ops::materialise(deferred(z, {}, ops::Activation::relu)).node()->op, "relu");
  EXPECT_NE(test::error_of([] { ops::materialise({}); }).find("[deferred]"), std::string::npos);

  ops::Deferred quantized = deferred(z, affine, ops::Activation::relu);
  quantized.quant.emplace();
  quantized.quant->scale = {0.25f};
  quantized.masked = false;
  const Variable y = ops::materialise(quantized);
  EXPECT_EQ(y.node()->op, "fake_quant");
  EXPECT_EQ(number(y, "masked"), 0);
  EXPECT_EQ(y.node()->inputs[0].node()->op, "affine_act");
}

TEST(ConvBnAct, IsItsPartsAndHasTheirGradients) {
  for (const bool depthwise : {false, true}) {
    const std::vector<Variable> in{Variable(random_tensor(Shape{2, 4, 4, 3}, 1), true),
                                   Variable(random_tensor(depthwise ? Shape{3, 3, 3, 1} : Shape{3, 1, 1, 3}, 2), true),
                                   Variable(random_tensor(Shape{3}, 3), true),
                                   Variable(random_tensor(Shape{3}, 4), true)};
    ops::ConvBnActArgs args;
    args.depthwise = depthwise, args.training = true, args.act = ops::Activation::relu;
    int calls = 0;
    args.on_affine = [&](const Variable& affine) {
      ++calls;
      return ops::add(affine, affine);
    };
    const auto f = [&](const std::vector<Variable>& v) {
      ops::BatchNormState state;
      state.running_mean = Tensor::zeros(Shape{3}, v[0].value().dtype());
      state.running_var = Tensor::full(Shape{3}, 1, v[0].value().dtype());
      return ops::materialise(
          ops::conv_bn_act(deferred(v[0], {}, ops::Activation::relu), v[1], v[2], v[3], state, args));
    };
    EXPECT_EQ(test::gradient_error(f, in), "") << depthwise;
    EXPECT_GT(calls, 0);
    ops::BatchNormState state;
    state.running_mean = Tensor::zeros(Shape{3}, DType::f64), state.running_var = Tensor::full(Shape{3}, 1, DType::f64);
    const Variable z =
        depthwise ? ops::dwconv2d(ops::relu(in[0]), in[1], {}) : ops::conv2d(ops::relu(in[0]), in[1], {});
    const Variable affine = ops::batchnorm_affine(z, in[2], in[3], state, true);
    const Tensor parts = ops::affine_act(z, ops::add(affine, affine), ops::Activation::relu).value(),
                 whole = f(in).value();
    for (std::int64_t i = 0; i < parts.numel(); ++i) EXPECT_EQ(parts.at(i), whole.at(i));
  }
}

}  // namespace
}  // namespace octet
