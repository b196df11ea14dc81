// The engine alone: graphs are made by hand with record().
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "core/autograd.h"

namespace octet {
namespace {

Variable leaf(std::vector<double> values, bool requires_grad = true) {
  return Variable(Tensor::from(Shape{static_cast<std::int64_t>(values.size())}, values), requires_grad);
}

std::vector<double> values_of(const Tensor& t) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < t.numel(); ++i) values.push_back(t.at(i));
  return values;
}

Tensor scaled(const Tensor& t, double k) {
  Tensor out = t.clone();
  for (double& x : out.span<double>()) x *= k;
  return out;
}

Variable times(const Variable& a, double k) {
  return record("times", {{"k", k}}, {a}, scaled(a.value(), k),
                [k](const Tensor& d, const std::vector<bool>&) { return std::vector<Tensor>{scaled(d, k)}; });
}

/// a + b whose gradients are d_dst itself, twice: the aliasing that the engine must survive.
Variable plus(const Variable& a, const Variable& b) {
  Tensor sum = a.value().clone();
  for (std::int64_t i = 0; i < sum.numel(); ++i) sum.data<double>()[i] += b.value().data<double>()[i];
  return record("plus", {}, {a, b}, sum, [](const Tensor& d, const std::vector<bool>&) {
    return std::vector<Tensor>{d, d};
  });
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Autograd, ChainRule) {
  Variable x = leaf({2.0});
  times(times(x, 3), 5).backward();
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{15});
}

TEST(Autograd, SharedInputsAccumulateWithoutAliasing) {
  Variable x = leaf({1, 2}), y = leaf({3, 4});
  Variable s = plus(x, x);           // both gradients of x are one tensor
  Variable t = plus(plus(s, y), y);  // y receives the tensor that s receives
  Tensor seed = Tensor::from(Shape{2}, std::vector<double>{1, 10});
  t.backward(seed);
  EXPECT_EQ(values_of(x.grad()), (std::vector<double>{2, 20}));
  EXPECT_EQ(values_of(y.grad()), (std::vector<double>{2, 20}));
  EXPECT_EQ(values_of(seed), (std::vector<double>{1, 10})) << "the caller's seed was written into";
}

TEST(Autograd, LeavesNeverShareTheirGradient) {
  Variable x = leaf({1}), y = leaf({1});
  plus(x, y).backward();
  EXPECT_NE(x.grad().raw(), y.grad().raw());
  Tensor kept = x.grad();
  plus(x, y).backward();  // accumulates
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{2});
  EXPECT_EQ(values_of(y.grad()), std::vector<double>{2});
  EXPECT_EQ(values_of(kept), std::vector<double>{1}) << "a gradient that the caller holds changed";
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Autograd, AccumulatesIntoALeafInPlace) {
  Variable x = leaf({1});
  times(x, 2).backward();
  const void* memory = x.grad().raw();
  times(x, 3).backward();
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{5});
  EXPECT_EQ(x.grad().raw(), memory);
}

TEST(Autograd, NeedsAreHonoured) {
  Variable image = leaf({1}, false), weight = leaf({2});
  std::vector<bool> seen;
  Variable y = record("op", {}, {image, weight}, Tensor::full(Shape{1}, 1, DType::f64),
                      [&](const Tensor& d, const std::vector<bool>& needs) {
                        seen = needs;
                        return std::vector<Tensor>{Tensor(), d};
                      });
  y.backward();
  EXPECT_EQ(seen, (std::vector<bool>{false, true}));
  EXPECT_FALSE(image.grad().defined());
  EXPECT_EQ(values_of(weight.grad()), std::vector<double>{1});
}

TEST(Autograd, UndefinedGradientMeansZero) {
  Variable x = leaf({1}), y = leaf({1});
  Variable cut = record("cut", {}, {times(x, 2)}, Tensor::full(Shape{1}, 1, DType::f64),
                        [](const Tensor&, const std::vector<bool>&) { return std::vector<Tensor>(1); });
  plus(cut, y).backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(values_of(y.grad()), std::vector<double>{1});
}

TEST(Autograd, FreesWhatWasSavedAsItPasses) {
  Variable x = leaf({1});
  auto token = std::make_shared<int>(0);
  std::weak_ptr<int> alive = token;
  Variable y = record("op", {}, {x}, Tensor::full(Shape{1}, 1, DType::f64),
                      [token](const Tensor& d, const std::vector<bool>&) { return std::vector<Tensor>{d}; });
  token.reset();
  bool freed_before_the_end = false;
  std::weak_ptr<Node> middle;
  {
    Variable m = times(y, 1);
    middle = m.node();
    y = {};
    Variable z = times(m, 2);
    m = {};
    z.backward();
    freed_before_the_end = middle.expired() && alive.expired();  // z itself is still held
    EXPECT_FALSE(z.grad().defined()) << "interior gradients are not kept";
  }
  EXPECT_TRUE(freed_before_the_end);
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{2});

  token = std::make_shared<int>(0);
  alive = token;
  Variable held = record("op", {}, {x}, Tensor::full(Shape{1}, 1, DType::f64),
                         [token](const Tensor& d, const std::vector<bool>&) { return std::vector<Tensor>{d}; });
  token.reset();
  held.backward();
  EXPECT_TRUE(alive.expired()) << "the result is still held, what its backward saved is not needed any more";
}

TEST(Autograd, SecondBackwardThrowsAndLeavesGradientsAlone) {
  Variable x = leaf({1});
  Variable y = times(x, 2);
  Variable z = times(y, 3);
  z.backward();
  EXPECT_NE(error_of([&] { z.backward(); }).find("already passed and freed"), std::string::npos);
  Variable other = plus(times(x, 1), times(y, 5));  // a new graph on top of the freed y
  EXPECT_NE(error_of([&] { other.backward(); }).find("[autograd] backward() reached times (1)"), std::string::npos);
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{6});
}

TEST(Autograd, ErrorsSayWhatIsWrong) {
  Variable x = leaf({1, 2});
  EXPECT_NE(error_of([&] { times(x, 2).backward(); }).find("starts at one element, this has shape 2"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              times(x, 2).backward(Tensor::zeros(Shape{3}, DType::f64));
            }).find("d_self is f64 3, the variable f64 2"),
            std::string::npos);
  EXPECT_NE(error_of([&] { times(x, 2).backward(Tensor::zeros(Shape{2})); }).find("d_self is f32 2"),
            std::string::npos);
  EXPECT_NE(error_of([&] { leaf({1}, false).backward(); }).find("nothing that needs a gradient"), std::string::npos);
  EXPECT_NE(error_of([&] { Variable().backward(); }).find("undefined"), std::string::npos);
  EXPECT_NE(error_of([&] { Variable(Tensor::zeros(Shape{2}, DType::s32), true); }).find("needs f32 or f64"),
            std::string::npos);
  EXPECT_NE(error_of([&] { Variable{Tensor()}; }).find("defined tensor"), std::string::npos);
  EXPECT_NE(error_of([&] {
              record("op", {}, {Variable()}, x.value(), nullptr);
            }).find("op was recorded with an undefined input"),
            std::string::npos);
}

TEST(Autograd, WrongGradientsFromAnOpAreCaught) {
  Variable x = leaf({1, 2});
  Variable shape = record("bad", {}, {x}, x.value(), [](const Tensor&, const std::vector<bool>&) {
    return std::vector<Tensor>{Tensor::zeros(Shape{3}, DType::f64)};
  });
  EXPECT_NE(
      error_of([&] { shape.backward(x.value()); }).find("bad returned a gradient of f64 3 for input 0, which is f64 2"),
      std::string::npos);
  Variable count =
      record("bad", {}, {x}, x.value(), [](const Tensor&, const std::vector<bool>&) { return std::vector<Tensor>{}; });
  EXPECT_NE(error_of([&] { count.backward(x.value()); }).find("bad returned 0 gradients for 1 inputs"),
            std::string::npos);
}

TEST(Autograd, DeepGraphsNeedNoStack) {
  constexpr int kDepth = 200000;
  Variable x = leaf({1});
  {
    Variable y = x;
    for (int i = 0; i < kDepth; ++i) y = times(y, 1);
    y.backward();
    EXPECT_EQ(values_of(x.grad()), std::vector<double>{1});
  }
  Variable y = x;  // and one that is dropped without a backward pass
  for (int i = 0; i < kDepth; ++i) y = times(y, 1);
}

TEST(Autograd, WideDiamondsAreVisitedOnce) {
  Variable x = leaf({1});
  Variable y = x;
  for (int i = 0; i < 40; ++i) y = plus(y, y);  // 2^40 paths
  y.backward();
  EXPECT_EQ(values_of(x.grad()), std::vector<double>{1099511627776.0});
}

TEST(Autograd, OrderOfBackwardIsFixedAndTopological) {
  std::string order;
  const auto note = [&](const std::string& name, std::vector<Variable> inputs) {
    const std::size_t n = inputs.size();
    return record(name, {}, std::move(inputs), Tensor::full(Shape{1}, 1, DType::f64),
                  [&order, name, n](const Tensor& d, const std::vector<bool>&) {
                    order += name;
                    return std::vector<Tensor>(n, d);
                  });
  };
  const auto build = [&] {
    Variable x = leaf({1});
    Variable a = note("a", {x}), b = note("b", {a}), c = note("c", {a, b});
    return note("d", {b, c, a});
  };
  build().backward();
  const std::string first = std::exchange(order, {});
  build().backward();
  EXPECT_EQ(first, "dcba");
  EXPECT_EQ(order, first);
}

TEST(Autograd, NoGradRecordsNothing) {
  Variable x = leaf({1});
  {
    NoGrad outer;
    { NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
    Variable y = times(x, 2);
    EXPECT_FALSE(y.requires_grad());
    EXPECT_TRUE(y.node()->op.empty());
    EXPECT_TRUE(y.node()->inputs.empty());
    bool elsewhere = false;
    std::thread([&] { elsewhere = grad_enabled(); }).join();
    EXPECT_TRUE(elsewhere) << "the guard belongs to its thread";
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE(times(x, 2).requires_grad());
  EXPECT_FALSE(times(leaf({1}, false), 2).requires_grad());
}

TEST(Autograd, RecordGuardAndScopesKeepTheGraph) {
  const int outer = 0, inner = 0;
  Variable x = leaf({1}, false);
  RecordGuard recording;
  NoGrad no_grad;
  ScopeGuard a(&outer);
  Variable y = times(x, 2);
  Variable z;
  {
    ScopeGuard b(&inner);
    z = times(y, 3);
  }
  Variable w = times(z, 4);
  EXPECT_EQ(z.node()->op, "times");
  EXPECT_EQ(std::get<double>(z.node()->attributes.at("k")), 3);
  EXPECT_EQ(z.node()->inputs.at(0).node(), y.node());
  EXPECT_EQ(y.node()->module, &outer);
  EXPECT_EQ(z.node()->module, &inner);
  EXPECT_EQ(w.node()->module, &outer);
  EXPECT_FALSE(w.requires_grad());
}

}  // namespace
}  // namespace octet
