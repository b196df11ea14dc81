// Element-wise passes and the Momentum update: own rows against the reference, bit for bit, on hostile shapes and
// values.
#include "kernels/eltwise/eltwise.h"
#include "kernels/momentum/momentum.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using namespace hostile;

const std::int64_t kCounts[] = {0, 1, 7, 8, 9, 15, 16, 17, 33, 1000, 16384, 33001};

struct Operands {
  PageEnd<float> a, b, dst;
  explicit Operands(std::int64_t count)
      : a(mixed_values(count, 1)), b(mixed_values(count, 2)), dst(random_values(count, 3)) {}
};

std::vector<float> run(const EltwiseRow& row, const EltwiseProblem& p, const EltwisePointers& x) {
  row.run(p, x, {});
  const float* dst = static_cast<const float*>(x.dst);
  return std::vector<float>(dst, dst + p.count);
}

/// The row's result equals the reference's, also when dst is a or b.
void expect_equal(const char* pass, const EltwiseProblem& p, bool has_b, const float* scale = nullptr,
                  const float* shift = nullptr) {
  SCOPED_TRACE(p.str());
  Operands o(p.count);
  const float* b = has_b ? o.b.data() : nullptr;
  const auto wanted = run(reference_row(eltwise_rows(), pass, "f32"), p, {o.a.data(), b, scale, shift, o.dst.data()});
  for_own_rows(eltwise_rows(), pass, "f32", [&](const EltwiseRow& row) {
    ASSERT_EQ(row.why_not(p), nullptr);
    Operands fresh(p.count);
    const float* fresh_b = has_b ? fresh.b.data() : nullptr;
    run(row, p, {fresh.a.data(), fresh_b, scale, shift, fresh.dst.data()});
    EXPECT_TRUE(same_bits(wanted, fresh.dst));
    if (has_b) {
      Operands second(p.count);
      run(row, p, {second.a.data(), second.b.data(), scale, shift, second.b.data()});
      EXPECT_TRUE(same_bits(wanted, second.b)) << "dst is b";
    }
    run(row, p, {fresh.a.data(), fresh_b, scale, shift, fresh.a.data()});
    EXPECT_TRUE(same_bits(wanted, fresh.a)) << "dst is a";
  });
}

TEST(Eltwise, RowsEqualReference) {
  for_threads([] {
    for (std::int64_t count : kCounts) {
      expect_equal("add_fwd", {.count = count}, true);
      expect_equal("mul_fwd", {.count = count}, true);
      for (Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
        expect_equal("act_fwd", {.count = count, .act = act}, false);
        expect_equal("act_bwd", {.count = count, .act = act}, true);
      }
    }
  });
}

TEST(Eltwise, ChannelFmaEqualsReference) {
  for_threads([] {
    for (std::int64_t c : {1, 3, 15, 16, 17, 63, 65, 1000}) {
      const PageEnd<float> scale(mixed_values(c, 4, 11)), shift(mixed_values(c, 5, 11));
      for (std::int64_t pixels : {std::int64_t{1}, std::int64_t{5}, 20000 / c}) {
        expect_equal("channel_fma_fwd", {.count = pixels * c, .c = c}, true, scale.data(), shift.data());
        expect_equal("channel_fma_fwd", {.count = pixels * c, .c = c}, false, scale.data(), shift.data());
      }
    }
  });
}

template <class T>
std::vector<T> formula(const char* pass, const char* dtypes, EltwiseProblem p, std::vector<T> a, std::vector<T> b,
                       std::vector<T> scale = {}, std::vector<T> shift = {}) {
  p.count = static_cast<std::int64_t>(a.size());
  std::vector<T> dst(a.size());
  const EltwisePointers x{a.data(), b.empty() ? nullptr : b.data(), scale.data(), shift.data(), dst.data()};
  dispatch(eltwise_rows(), pass, dtypes, p, x);
  return dst;
}

template <class T>
void check_formulas(const char* dtypes) {
  using V = std::vector<T>;
  EXPECT_EQ(formula<T>("add_fwd", dtypes, {}, {1, -2}, {3, 4}), (V{4, 2}));
  EXPECT_EQ(formula<T>("mul_fwd", dtypes, {}, {1, -2}, {3, 4}), (V{3, -8}));
  const V t{-1, 0, 3, 6, 7}, g{10, 20, 30, 40, 50};
  EXPECT_EQ(formula<T>("act_fwd", dtypes, {.act = Activation::none}, t, {}), t);
  EXPECT_EQ(formula<T>("act_fwd", dtypes, {.act = Activation::relu}, t, {}), (V{0, 0, 3, 6, 7}));
  EXPECT_EQ(formula<T>("act_fwd", dtypes, {.act = Activation::relu6}, t, {}), (V{0, 0, 3, 6, 6}));
  EXPECT_EQ(formula<T>("act_bwd", dtypes, {.act = Activation::none}, g, t), g);
  EXPECT_EQ(formula<T>("act_bwd", dtypes, {.act = Activation::relu}, g, t), (V{0, 0, 30, 40, 50}));
  EXPECT_EQ(formula<T>("act_bwd", dtypes, {.act = Activation::relu6}, g, t), (V{0, 0, 30, 0, 0}));
  EXPECT_EQ(formula<T>("channel_fma_fwd", dtypes, {.c = 2}, {1, 2, 3, 4}, {10, 20, 30, 40}, {2, 3}, {100, 200}),
            (V{112, 226, 136, 252}));
  EXPECT_EQ(formula<T>("channel_fma_fwd", dtypes, {.c = 2}, {1, 2, 3, 4}, {}, {2, 3}, {100, 200}),
            (V{102, 206, 106, 212}));
}
TEST(Eltwise, Formulas) {
  check_formulas<float>("f32");
  check_formulas<double>("f64");
}

TEST(Eltwise, NanShowsInActivationsAndBlocksGradients) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Activation act : {Activation::relu, Activation::relu6}) {
    EXPECT_TRUE(std::isnan(formula<float>("act_fwd", "f32", {.act = act}, {nan}, {})[0]));
    EXPECT_EQ(formula<float>("act_bwd", "f32", {.act = act}, {nan, 1}, {-1, nan}), (std::vector<float>{0, 0}));
  }
}

TEST(Momentum, RowsEqualReference) {
  for_threads([] {
    for (std::int64_t count : kCounts) {
      for (bool nesterov : {false, true}) {
        const MomentumProblem p{count, 0.1, 0.9, 4e-5, nesterov};
        PageEnd<float> g(mixed_values(count, 1)), v(mixed_values(count, 2)), w(mixed_values(count, 3));
        reference_row(momentum_rows(), "momentum", "f32").run(p, {g.data(), v.data(), w.data()}, {});
        for_own_rows(momentum_rows(), "momentum", "f32", [&](const MomentumRow& row) {
          PageEnd<float> velocity(mixed_values(count, 2)), weight(mixed_values(count, 3));
          row.run(p, {g.data(), velocity.data(), weight.data()}, {});
          EXPECT_TRUE(same_bits(v, velocity));
          EXPECT_TRUE(same_bits(w, weight));
        });
      }
    }
  });
}

template <class T>
void check_momentum(const char* dtypes) {
  const T g = T(0.5), v = T(-0.25), w = T(2), lr = T(0.125), mu = T(0.75), decay = T(0.0625);
  const T decayed = g + decay * w, velocity = mu * v + decayed;
  for (bool nesterov : {false, true}) {
    T new_v = v, new_w = w;
    dispatch(momentum_rows(), "momentum", dtypes, MomentumProblem{1, lr, mu, decay, nesterov},
             MomentumPointers{&g, &new_v, &new_w});
    EXPECT_EQ(new_v, velocity);  // all values are short fractions: no rounding anywhere
    EXPECT_EQ(new_w, w - lr * (nesterov ? mu * velocity + decayed : velocity));
  }
}
TEST(Momentum, Formula) {
  check_momentum<float>("f32");
  check_momentum<double>("f64");
}

}  // namespace
}  // namespace octet::kernels
