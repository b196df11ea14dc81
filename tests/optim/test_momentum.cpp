// Momentum against its formula in double, and the schedules.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/momentum/momentum.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "optim/schedule.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using optim::Momentum;
using optim::MomentumOptions;

// Gives `parameter` the gradient `g`: d(Σ g·w)/dw.
void set_grad(Variable& parameter, const Tensor& g) {
  ops::mul_constant(parameter, g).backward(Tensor::full(g.shape(), 1));
}

struct Case {
  double lr, momentum, weight_decay;
  bool nesterov;
};

class Formula : public ::testing::TestWithParam<Case> {};

TEST_P(Formula, FollowedOverSeveralSteps) {
  const Case c = GetParam();
  constexpr std::int64_t kCount = 37;
  Variable w(random_f32({kCount}, 1), true);
  std::vector<double> expected(kCount), velocity(kCount, 0);
  for (std::int64_t i = 0; i < kCount; ++i) expected[static_cast<std::size_t>(i)] = w.value().at(i);
  Momentum optimizer({{"w", w}}, {c.lr, c.momentum, c.weight_decay, c.nesterov});
  for (std::uint64_t step = 0; step < 5; ++step) {
    const Tensor g = random_f32({kCount}, 10 + step);
    set_grad(w, g);
    optimizer.step();
    optimizer.zero_grad();
    EXPECT_FALSE(w.grad().defined());
    for (std::size_t i = 0; i < kCount; ++i) {
      const double decayed = g.at(static_cast<std::int64_t>(i)) + c.weight_decay * expected[i];
      velocity[i] = c.momentum * velocity[i] + decayed;
      expected[i] -= c.lr * (c.nesterov ? c.momentum * velocity[i] + decayed : velocity[i]);
      ASSERT_NEAR(w.value().at(static_cast<std::int64_t>(i)), expected[i], 1e-5) << step;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Options, Formula,
                         ::testing::Values(Case{0.1, 0, 0, false}, Case{0.1, 0.9, 0, false},
                                           Case{0.1, 0.9, 0.05, false}, Case{0.1, 0.9, 0, true},
                                           Case{0.01, 0.5, 0.1, true}));

// The sweep cuts parameters into tasks; every element must be updated once.
TEST(Momentum, LargeAndSmallParametersInOneSweep) {
  const std::vector<std::int64_t> counts{1, 70001, 3, 32768, 5};
  nn::Module::NamedParameters parameters;
  std::vector<Tensor> expected, velocity, gradients;
  for (std::size_t p = 0; p < counts.size(); ++p) {
    parameters.emplace_back("p" + std::to_string(p), Variable(random_f32({counts[p]}, p), true));
    expected.push_back(parameters[p].second.value().clone());
    velocity.push_back(Tensor::zeros({counts[p]}));
    gradients.push_back(random_f32({counts[p]}, 20 + p));
  }
  Momentum optimizer(parameters, {.lr = 0.1, .weight_decay = 0.01});
  for (int step = 0; step < 2; ++step) {
    for (std::size_t p = 0; p < counts.size(); ++p) {
      set_grad(parameters[p].second, gradients[p]);
      kernels::dispatch(kernels::momentum_rows(), "momentum", "f32",
                        kernels::MomentumProblem{counts[p], 0.1, 0.9, 0.01, false},
                        kernels::MomentumPointers{gradients[p].raw(), velocity[p].raw(), expected[p].raw()});
    }
    optimizer.step();
    optimizer.zero_grad();
    for (std::size_t p = 0; p < counts.size(); ++p)
      EXPECT_TRUE(same_bits(parameters[p].second.value(), expected[p])) << p;
  }
}

TEST(Momentum, GroupsHaveTheirOwnRateAndDecay) {
  const Tensor start = Tensor::full({2}, 1), g = Tensor::full({2}, 0.5);
  Variable a(start.clone(), true), b(start.clone(), true);
  Momentum optimizer({{{{"a", a}}, 1, 0}, {{{"b", b}}, 10, 0.5}}, {.lr = 0.1, .momentum = 0});
  set_grad(a, g), set_grad(b, g);
  optimizer.step();
  EXPECT_NEAR(a.value().at(0), 1 - 0.1 * 0.5, 1e-6);
  EXPECT_NEAR(b.value().at(1), 1 - 1.0 * (0.5 + 0.5), 1e-6);
  optimizer.set_lr(0.2);
  EXPECT_EQ(optimizer.lr(), 0.2);
  optimizer.step();
  EXPECT_NEAR(a.value().at(0), 1 - 0.1 * 0.5 - 0.2 * 0.5, 1e-6);
}

TEST(Momentum, AParameterWithoutGradientRests) {
  Variable a(Tensor::full({2}, 1), true), b(Tensor::full({2}, 1), true);
  Momentum optimizer({{"a", a}, {"b", b}}, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  set_grad(a, Tensor::full({2}, 1));
  optimizer.step();
  EXPECT_NE(a.value().at(0), 1);
  EXPECT_EQ(b.value().at(0), 1);
}

TEST(Momentum, StateRoundTripContinuesTheSame) {
  const auto run = [](int interrupted_after) {
    Variable w(Tensor::full({3}, 1), true);
    const MomentumOptions options{0.1, 0.9, 0.01, true};
    auto optimizer = std::make_unique<Momentum>(nn::Module::NamedParameters{{"w", w}}, options);
    for (int step = 0; step < 6; ++step) {
      if (step == interrupted_after) {
        nn::Module::NamedTensors saved;
        for (const auto& [name, tensor] : optimizer->state()) saved.emplace_back(name, tensor.clone());
        optimizer = std::make_unique<Momentum>(nn::Module::NamedParameters{{"w", w}}, options);
        optimizer->load_state(saved);
      }
      set_grad(w, random_f32({3}, static_cast<std::uint64_t>(step)));
      optimizer->step();
      optimizer->zero_grad();
    }
    return w.value();
  };
  const Tensor undisturbed = run(-1);
  for (int step = 0; step < 6; ++step) EXPECT_TRUE(same_bits(run(step), undisturbed)) << step;
}

TEST(Momentum, ABadStateChangesNothing) {
  Variable a(Tensor::full({2}, 1), true), b(Tensor::full({3}, 1), true);
  Momentum optimizer({{"a", a}, {"b", b}}, {});
  ASSERT_EQ(optimizer.state().size(), 2u);
  EXPECT_EQ(optimizer.state()[1].first, "velocity.b");
  const nn::Module::NamedTensors good{{"velocity.a", Tensor::full({2}, 5)}, {"velocity.b", Tensor::full({3}, 6)}};
  const std::uint32_t before = state_crc(optimizer.state());
  EXPECT_ERROR(optimizer.load_state({}), "0 velocities given, 2 expected");
  EXPECT_ERROR(optimizer.load_state({good[0]}), "1 velocities");
  EXPECT_ERROR(optimizer.load_state({good[0], {"velocity.c", good[1].second}}), "'velocity.b' is missing");
  EXPECT_ERROR(optimizer.load_state({good[0], {"velocity.b", good[0].second}}), "'velocity.b' is 2, expected 3");
  EXPECT_ERROR(optimizer.load_state({good[0], {"velocity.b", Tensor::zeros({3}, DType::s32)}}), "'velocity.b'");
  EXPECT_EQ(state_crc(optimizer.state()), before);
  optimizer.load_state({good[1], good[0]});
  EXPECT_EQ(state_crc(optimizer.state()), state_crc(good));
}

TEST(Momentum, OptionsThatCannotBe) {
  Variable w(Tensor::full({1}, 1), true);
  const double nan = std::nan(""), inf = INFINITY;
  for (const double lr : {0.0, -0.1, nan, inf}) EXPECT_ERROR(Momentum({{"w", w}}, {.lr = lr}), "learning rate");
  for (const double m : {-0.1, 1.0, nan}) EXPECT_ERROR(Momentum({{"w", w}}, {.momentum = m}), "momentum");
  for (const double d : {-0.1, nan, inf}) EXPECT_ERROR(Momentum({{"w", w}}, {.weight_decay = d}), "weight decay");
  for (const double s : {-1.0, nan}) EXPECT_ERROR(Momentum({{{{"w", w}}, s, 0}}, {}), "learning rate scale");
  EXPECT_ERROR(Momentum({{{{"w", w}}, 1, 0}, {{{"again", w}}, 1, 0}}, {}), "'again' is given twice");
}

TEST(Schedule, Values) {
  using optim::Schedule;
  using optim::ScheduleKind;
  const Schedule constant{ScheduleKind::constant, 0.1}, cosine{ScheduleKind::cosine, 0.1},
      step{ScheduleKind::step, 0.1};
  for (std::int64_t at = 0; at < 100; ++at) {
    EXPECT_EQ(constant.at(at, 100), 0.1);
    EXPECT_NEAR(cosine.at(at, 100), 0.05 * (1 + std::cos(M_PI * static_cast<double>(at) / 100)), 1e-12);
    EXPECT_NEAR(step.at(at, 100), at < 50 ? 0.1 : at < 75 ? 0.01 : 0.001, 1e-15) << at;
  }
  EXPECT_EQ(cosine.at(0, 100), 0.1);
  for (const Schedule& s : {constant, cosine, step}) EXPECT_EQ(s.at(0, 0), 0.1);
}

TEST(Schedule, WarmupRisesToTheSchedule) {
  using optim::Schedule;
  using optim::ScheduleKind;
  for (const auto kind : {ScheduleKind::constant, ScheduleKind::cosine, ScheduleKind::step}) {
    const Schedule cold{kind, 0.1}, warm{kind, 0.1, 4};
    for (std::int64_t at = 0; at < 12; ++at)
      EXPECT_EQ(warm.at(at, 12), at < 4 ? cold.at(at, 12) * static_cast<double>(at + 1) / 4 : cold.at(at, 12)) << at;
  }
  EXPECT_EQ((Schedule{ScheduleKind::constant, 0.1, 100}.at(9, 10)), 0.1 * 10 / 100);  // longer than the fit
}

TEST(Schedule, Names) {
  for (const char* name : {"constant", "cosine", "step"})
    EXPECT_STREQ(optim::name_of(optim::schedule_named(name)), name);
  EXPECT_ERROR(optim::schedule_named("linear"), "'linear' is no schedule ---> HINT constant, cosine or step");
}

}  // namespace
}  // namespace octet::test
