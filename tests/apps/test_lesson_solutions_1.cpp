// The solutions of the course's exercises, lessons 1 to 4, held against what Octet computes.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/lessons/lesson.h"
#include "apps/lessons/solutions/01_eight_bits.h"
#include "apps/lessons/solutions/02_integer_convolution.h"
#include "apps/lessons/solutions/03_straight_through.h"
#include "apps/lessons/solutions/04_observers.h"
#include "core/random.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "quant/engine/graph.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/apps/grids.h"

using namespace octet;
using test::grid_of;

namespace {

// --- Lesson 1

TEST(Solution01, AffineGrid) {
  for (const auto& [low, high] : {std::pair{-0.8f, 3.2f}, {-1.0f, 1.0f}, {1.0f, 3.0f}, {-7.0f, -2.0f}, {0.0f, 0.1f}}) {
    const solution_01::AffineGrid mine = solution_01::affine_grid(low, high);
    const QuantParams octets = quant::Grid{.affine = true}.over({low, high});
    EXPECT_EQ(mine.step, octets.step()) << low << " to " << high;
    EXPECT_EQ(mine.zero_point, octets.zero_point) << low << " to " << high;
  }
}

TEST(Solution01, HalfToEven) {
  for (int i = -64; i <= 64; ++i) {
    const float x = static_cast<float>(i) / 8;  // with every tie from −8 to 8
    EXPECT_EQ(solution_01::half_to_even(x), static_cast<float>(grid_of(1, -127, 127).quantize(x))) << x;
  }
}

TEST(Solution01, BitsFor40Decibels) {
  std::vector<float> even;
  for (int i = 0; i <= 20000; ++i) even.push_back(static_cast<float>(i) / 20000);
  const auto decibels = [&](int bits) {
    return 20 * std::log10(1 / std::sqrt(12.0) /
                           lesson::rms_error(even, quant::Grid{.bits = bits, .is_unsigned = true}.over({0, 1})));
  };
  EXPECT_GE(decibels(solution_01::kBitsFor40Decibels), 40);
  EXPECT_LT(decibels(solution_01::kBitsFor40Decibels - 1), 40);
}

// --- Lesson 2

TEST(Solution02, MostChannels) {
  const auto bound = [](std::int64_t channels) {
    engine::GraphNode node;
    node.op = engine::OpKind::conv2d;
    node.geometry = {.h = 3, .w = 3, .c = channels, .k = 1, .r = 3, .s = 3};
    node.weight = Tensor::full({1, 3, 3, channels}, 127, DType::s8);
    return engine::accumulator_bound(node, grid_of(1, 0, 255), 0);
  };
  EXPECT_LT(bound(solution_02::kMostChannels), std::int64_t{1} << 31);
  EXPECT_GE(bound(solution_02::kMostChannels + 1), std::int64_t{1} << 31);
}

TEST(Solution02, BiasWithZeroPoint) {
  Random random(1, Purpose::test, 2);
  std::vector<std::uint8_t> x(27);
  std::vector<std::int8_t> w(27);
  for (auto& code : x) code = static_cast<std::uint8_t>(random.below(256));
  for (auto& code : w) code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
  const std::int32_t bias = 1000, zero_point = 37;
  // Octet's own sum: a 3x3 convolution whose one output is stored as a float.
  kernels::IntConvProblem problem;
  problem.geometry = {.h = 3, .w = 3, .c = 3, .k = 1, .r = 3, .s = 3};
  problem.z_x = zero_point, problem.store.dst = DType::f32;
  const float one = 1;
  float octets = 0;
  kernels::plan_conv2d_int8(problem, {.weight = w.data(), .bias = &bias, .multiplier = &one}).run(x.data(), &octets);

  std::int32_t mine = solution_02::bias_with_zero_point(w, bias, zero_point);
  for (std::size_t i = 0; i < x.size(); ++i) mine += x[i] * w[i];
  EXPECT_EQ(static_cast<float>(mine), octets);
}

TEST(Solution02, FixedPoint) {
  Random random(1, Purpose::test, 3);
  int differing = 0;
  for (int i = 0; i < 100000; ++i) {
    const auto m = static_cast<float>(std::exp2(random.uniform(-12, 0)));
    const auto a = static_cast<std::int32_t>(random.uniform(-260, 260) / static_cast<double>(m));
    const std::int64_t mine = std::clamp<std::int64_t>(solution_02::scaled(a, solution_02::fixed_point(m)), -127, 127);
    const std::int32_t octets = qmath::requantize(a, m, 0, -127, 127);
    ASSERT_LE(std::abs(mine - octets), 1) << a << " · " << m;
    differing += mine != octets;
  }
  EXPECT_LT(differing, 20);  // sums that fall on a tie, or next to one
}

// --- Lesson 3

TEST(Solution03, StraightThrough) {
  QuantParams grid = grid_of(0.25f, 0, 15);
  grid.zero_point = 4;
  std::vector<float> xs;
  for (int i = -50; i <= 100; ++i) xs.push_back(static_cast<float>(i) / 20);  // both ends, −1 and 2.75, among them
  const Variable x(Tensor::from({static_cast<std::int64_t>(xs.size())}, xs), true);
  ops::fake_quant(x, grid).backward(Tensor::full(x.shape(), 1));
  for (std::size_t i = 0; i < xs.size(); ++i)
    EXPECT_EQ(solution_03::straight_through(xs[i], grid), x.grad().at(static_cast<std::int64_t>(i))) << xs[i];
}

/// Trains one weight towards a target through its rounding, as the lesson does, and tells `see` of w and Q(w).
template <class See>
void train_one(double start, double target, double rate, bool masked, int updates, See see) {
  Variable w(Tensor::full({1}, start), true);
  optim::Momentum descent({{"w", w}}, {.lr = rate, .momentum = 0});
  for (int i = 0; i < updates; ++i) {
    const Variable q = ops::fake_quant(w, grid_of(0.1f, -3, 3), masked);
    see(i, w.value().item(), q.value().item());
    q.backward(Tensor::full({1}, q.value().item() - target));
    descent.step();
    descent.zero_grad();
  }
}

TEST(Solution03, ShareOfUpperCode) {
  for (const double target : {0.24, 0.21, 0.05, 0.27}) {
    const double upper = std::ceil(target * 10) / 10;
    int at_upper = 0;
    train_one(0.2, target, 0.25, true, 3000,
              [&](int i, double, double q) { at_upper += i >= 1000 && std::abs(q - upper) < 0.01; });
    EXPECT_NEAR(solution_03::share_of_upper_code(target, 0.1), at_upper / 2000.0, 0.01) << target;
  }
}

TEST(Solution03, UpdatesToComeBack) {
  for (const auto& [start, target, rate] : {std::tuple{1.02, 0.1, 0.25}, {0.57, -0.2, 0.1}, {5.0, 0.13, 0.5}}) {
    int back = -1;
    train_one(start, target, rate, false, 1000,
              [&](int i, double w, double) { back = back < 0 && w <= 0.3 ? i : back; });
    EXPECT_EQ(solution_03::updates_to_come_back(start, 0.3, target, rate), back) << start;
    train_one(start, target, rate, true, 100,
              [&](int, double w, double) { EXPECT_FLOAT_EQ(static_cast<float>(w), static_cast<float>(start)); });
  }
}

// --- Lesson 4

/// Batches of largest value 1 until the range of an observer that saw `first` is at most `bound`.
int batches_until(quant::Observer& observer, float largest, float bound) {
  for (int batches = 1;; ++batches) {
    observer.observe(quant::Range{0, largest}, true);
    if (observer.range().max <= bound) return batches;
  }
}

TEST(Solution04, BatchesToForget) {
  quant::MovingAverageAbsMaxObserver observer(0.9);
  observer.observe(quant::Range{0, 1}, true);
  observer.observe(quant::Range{0, 10}, true);
  EXPECT_EQ(solution_04::kBatchesToForget, batches_until(observer, 1, 1.1f));
}

TEST(Solution04, BestThreshold) {
  std::vector<float> values = lesson::normals(4000, 1, 4);
  for (float& x : values) x = std::max(x, 0.0f);
  const float largest = *std::max_element(values.begin(), values.end());
  for (const int bits : {2, 3, 4, 6}) {
    const auto error = [&](float threshold) {
      return lesson::rms_error(values, quant::Grid{.bits = bits, .is_unsigned = true}.over({0, threshold}));
    };
    double least = error(largest);
    for (int i = 1; i < 500; ++i) least = std::min(least, error(largest * static_cast<float>(i) / 500));
    EXPECT_LE(error(solution_04::best_threshold(values, bits)), 1.01 * least) << bits;
  }
}

TEST(Solution04, PaddleRange) {
  for (const double rate : {0.5, 0.9, 0.99}) {
    quant::PaddleMovingAverageObserver observer(rate);
    for (int batches = 1; batches <= 50; ++batches) {
      observer.observe(quant::Range{0, 0.2f}, true);
      ASSERT_NEAR(solution_04::paddle_range(rate, 0.2, batches), static_cast<double>(observer.range().max), 1e-5)
          << batches;
    }
  }
  quant::PaddleMovingAverageObserver observer(0.9);
  EXPECT_EQ(solution_04::kBatchesToSettle, batches_until(observer, 0.2f, 0.22f));
}

}  // namespace
