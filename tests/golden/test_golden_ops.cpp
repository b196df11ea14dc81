// The catalogue against PyTorch: values and gradients, in f32 and on the f64 reference kernels.
#include <gtest/gtest.h>

#include "ops/ops.h"
#include "optim/momentum.h"
#include "tests/golden/golden.h"

namespace octet::test {
namespace {

class GoldenOps : public testing::TestWithParam<DType> {
 protected:
  const TensorFile& file() const { return golden("torch_ops.safetensors"); }
  /// Stored values carry half a unit of f32; f32 kernels add their own rounding.
  double tolerance() const { return GetParam() == DType::f64 ? 2e-7 : 5e-6; }
  Tensor stored(const std::string& key) const { return file().get(key).to(GetParam()); }
  Variable leaf(const std::string& key) const { return Variable(stored(key), true); }
  void expect(const Tensor& made, const std::string& key) const { expect_golden(made, file(), key, tolerance()); }
  /// Every prefix "kind/CASE" that has a dst.
  std::vector<std::string> cases(const std::string& kind) const {
    std::vector<std::string> found;
    for (const auto& [name, tensor] : file().tensors) {
      if (name.starts_with(kind + "/") && name.ends_with("/dst")) found.push_back(name.substr(0, name.size() - 4));
    }
    EXPECT_FALSE(found.empty()) << kind;
    return found;
  }
  std::vector<std::int64_t> attributes(const std::string& at) const {
    const auto values = file().get(at + "/attributes").span<std::int32_t>();
    return {values.begin(), values.end()};
  }
  void check_unary(const std::string& at, const std::function<Variable(const Variable&)>& op) const {
    Variable src = leaf(at + "/src");
    Variable dst = op(src);
    expect(dst.value(), at + "/dst");
    dst.backward(stored(at + "/d_dst"));
    expect(src.grad(), at + "/d_src");
  }
};

TEST_P(GoldenOps, Convolutions) {
  for (const char* kind : {"conv2d", "dwconv2d"}) {
    for (const std::string& at : cases(kind)) {
      const auto a = attributes(at);
      const ops::Conv2dArgs args{a[0], a[1], a[2], a[3]};
      Variable src = leaf(at + "/src"), weight = leaf(at + "/weight"), bias = leaf(at + "/bias");
      Variable dst =
          at.starts_with("dw") ? ops::dwconv2d(src, weight, bias, args) : ops::conv2d(src, weight, bias, args);
      expect(dst.value(), at + "/dst");
      dst.backward(stored(at + "/d_dst"));
      expect(src.grad(), at + "/d_src");
      expect(weight.grad(), at + "/d_weight");
      expect(bias.grad(), at + "/d_bias");
    }
  }
}

TEST_P(GoldenOps, Linear) {
  const std::string at = "linear/5x7_3";
  Variable src = leaf(at + "/src"), weight = leaf(at + "/weight"), bias = leaf(at + "/bias");
  Variable dst = ops::linear(src, weight, bias);
  expect(dst.value(), at + "/dst");
  dst.backward(stored(at + "/d_dst"));
  expect(src.grad(), at + "/d_src");
  expect(weight.grad(), at + "/d_weight");
  expect(bias.grad(), at + "/d_bias");
}

TEST_P(GoldenOps, BatchNorm) {
  for (const std::string at : {"batchnorm/map", "batchnorm/two_values"}) {
    for (const bool training : {true, false}) {
      for (const bool unbiased : {true, false}) {
        const std::string mode = at + (training ? "/train" : "/eval");
        ops::BatchNormState state{stored(at + "/running_mean"), stored(at + "/running_var"), 0.9, 1e-5, unbiased};
        Variable src = leaf(at + "/src"), gamma = leaf(at + "/gamma"), beta = leaf(at + "/beta");
        Variable dst = ops::batchnorm(src, gamma, beta, state, training);
        expect(dst.value(), mode + "/dst");
        dst.backward(stored(mode + "/d_dst"));
        // Of two values per channel nothing but epsilon is left in the gradient: numbers near 1 cancel to 1e-5.
        const bool cancels = at.ends_with("two_values") && training && GetParam() == DType::f32;
        expect_golden(src.grad(), file(), mode + "/d_src", cancels ? 0.05 : tolerance());
        expect(gamma.grad(), mode + "/d_gamma");
        expect(beta.grad(), mode + "/d_beta");
        if (!training) continue;
        expect(state.running_mean, mode + "/running_mean");
        expect(state.running_var, mode + (unbiased ? "/running_var_unbiased" : "/running_var_biased"));
      }
    }
  }
}

TEST_P(GoldenOps, Elementwise) {
  check_unary("relu", ops::relu);
  check_unary("relu6", ops::relu6);
  expect(ops::add(leaf("add/a"), leaf("add/b")).value(), "add/dst");
  expect(ops::concat({leaf("concat/a"), leaf("concat/b"), leaf("concat/c")}).value(), "concat/dst");
}

TEST_P(GoldenOps, Pools) {
  for (const char* kind : {"max_pool", "avg_pool"}) {
    for (const std::string& at : cases(kind)) {
      const auto a = attributes(at);
      const ops::Pool2dArgs args{a[0], a[1], a[2], a[3], a[4], a[5]};
      check_unary(at, [&](const Variable& src) {
        return at.starts_with("max") ? ops::max_pool(src, args) : ops::avg_pool(src, args);
      });
    }
  }
  check_unary("global_avg_pool", ops::global_avg_pool);
}

TEST_P(GoldenOps, SoftmaxCrossEntropy) {
  const std::string at = "softmax_cross_entropy";
  expect(ops::softmax(stored(at + "/logits")), at + "/probabilities");
  for (const auto& [name, smoothing] : {std::pair{"/smoothing0", 0.0}, std::pair{"/smoothing0.1", 0.1}}) {
    Variable logits = leaf(at + "/logits");
    Variable loss = ops::softmax_cross_entropy(logits, file().get(at + "/labels"), smoothing);
    EXPECT_NEAR(loss.value().item(), file().get(at + name + "/loss").item(), tolerance() * 100) << name;
    loss.backward();
    expect(logits.grad(), at + name + "/d_logits");
  }
}

TEST_P(GoldenOps, Momentum) {
  struct Case {
    const char* name;
    double momentum, weight_decay;
    bool nesterov;
  };
  const Case all[] = {{"plain", 0.9, 0, false},
                      {"nesterov", 0.9, 0, true},
                      {"decay", 0.9, 0.01, false},
                      {"nesterov_decay", 0.8, 0.05, true},
                      {"no_momentum", 0.0, 0.01, false}};
  for (const Case& c : all) {
    Variable weight(stored("momentum/start").clone(), true);
    optim::Momentum rule({{"w", weight}}, {0.1, c.momentum, c.weight_decay, c.nesterov});
    for (std::int64_t step = 0; step < 5; ++step) {
      rule.set_lr(file().get("momentum/rates").at(step));
      rule.zero_grad();
      // d(Σ g·w)/dw = g.
      ops::mul_constant(weight, stored("momentum/gradients").slice(step, step + 1).reshape({12}))
          .backward(Tensor::full({12}, 1, GetParam()));
      rule.step();
      const Tensor expected =
          file().get(std::string("momentum/") + c.name + "/weights").slice(step, step + 1).reshape({12});
      EXPECT_LE(distance(weight.value(), expected), tolerance()) << c.name << ", step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenOps, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace octet::test
