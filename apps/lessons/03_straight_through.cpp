// Lesson 3: why training through a step function works. docs/course/03-straight-through.md
#include <fmt/core.h>

#include <cmath>

#include "apps/lessons/lesson.h"
#include "core/random.h"
#include "ops/ops.h"
#include "optim/momentum.h"

using namespace octet;

namespace {

QuantParams three_bits(float step) {
  QuantParams grid;
  grid.scale = {step}, grid.lo = -3, grid.hi = 3;
  return grid;
}

float rounded(float x, const QuantParams& grid) { return grid.dequantize(grid.quantize(x)); }

// 1. The slope that is there, and the one that training uses.
void two_slopes() {
  const QuantParams grid = three_bits(0.1f);
  const std::vector<float> xs{-0.4f, -0.12f, 0.04f, 0.3f, 0.31f};
  const Variable x(Tensor::from({5}, xs), true);
  ops::fake_quant(x, grid).backward(Tensor::full({5}, 1));
  fmt::print("1. step 0.1, codes −3 to 3: slope measured over ±0.001, and the gradient of ops::fake_quant\n  ");
  for (std::int64_t i = 0; i < 5; ++i) {
    const float at = xs[static_cast<std::size_t>(i)];
    const float measured = (rounded(at + 0.001f, grid) - rounded(at - 0.001f, grid)) / 0.002f;
    fmt::print(" {}: {} and {}{}", at, std::fabs(measured), x.grad().at(i), i < 4 ? "," : "\n");
  }
}

// 2. One weight on the way to 0.24, which is no code: loss ½(Q(w) − 0.24)², rate 0.25.
void one_weight() {
  const QuantParams grid = three_bits(0.1f);
  Variable w(Tensor::full({1}, 0), true);
  optim::Momentum descent({{"w", w}}, {.lr = 0.25, .momentum = 0});
  fmt::print("2. w, Q(w):");
  for (int step = 0; step < 12; ++step) {
    const Variable q = ops::fake_quant(w, grid);
    fmt::print(" {:.3f} {:.1f}{}", w.value().item(), q.value().item(), step < 11 ? "," : "\n");
    q.backward(Tensor::full({1}, q.value().item() - 0.24));
    descent.step();
    descent.zero_grad();
  }
}

/// Points of a square; which of them lie in a ring?
struct Ring {
  static constexpr std::int64_t kPoints = 400;
  Tensor points{{kPoints, 2}}, inside{{kPoints}, DType::s32};

  Ring() {
    Random random(1, Purpose::test, 30);
    for (std::int64_t i = 0; i < kPoints; ++i) {
      const double x = random.uniform(-1, 1), y = random.uniform(-1, 1), radius = std::sqrt(x * x + y * y);
      points.data<float>()[2 * i] = static_cast<float>(x), points.data<float>()[2 * i + 1] = static_cast<float>(y);
      inside.data<std::int32_t>()[i] = radius > 0.4 && radius < 0.9;
    }
  }
};

/// What the forward pass makes of the weights, and which gradient they get.
enum class Weights { floats, straight_through, true_gradient };

/// 2 → 16 → 16 → 2, ReLU between. Rounded weights have three codes, −1, 0 and 1, and a step for each output.
class Net {
 public:
  Net() {
    constexpr std::int64_t kWidths[] = {2, 16, 16, 2};
    for (std::size_t i = 0; i < 3; ++i) {
      const std::int64_t in = kWidths[i], out = kWidths[i + 1];
      const double sigma = std::sqrt(2.0 / static_cast<double>(in));
      const std::vector<float> start = lesson::normals(static_cast<std::size_t>(in * out), sigma, 31 + i);
      weights_.emplace_back(Tensor::from({out, in}, start), true);
      biases_.emplace_back(Tensor::zeros({out}), true);
    }
  }
  nn::Module::NamedParameters parameters() const {
    nn::Module::NamedParameters all;
    for (std::size_t i = 0; i < 3; ++i) {
      all.emplace_back(fmt::format("weight {}", i), weights_[i]);
      all.emplace_back(fmt::format("bias {}", i), biases_[i]);
    }
    return all;
  }
  Variable operator()(const Tensor& points, Weights how) const {
    QuantParams two_bits;
    two_bits.lo = -1, two_bits.hi = 1;
    Variable x(points);
    for (std::size_t i = 0; i < 3; ++i) {
      Variable w = weights_[i];
      if (how != Weights::floats) w = ops::fake_quant_weight(w, two_bits).value;
      if (how == Weights::true_gradient) w = Variable(w.value());  // a constant: the slope of a step is 0
      x = ops::linear(x, w, biases_[i]);
      if (i < 2) x = ops::relu(x);
    }
    return x;
  }
  double share_right(const Ring& ring, Weights how) const {
    const NoGrad no_grad;
    return static_cast<double>(ops::count_top_k((*this)(ring.points, how).value(), ring.inside, 1)) / Ring::kPoints;
  }

 private:
  std::vector<Variable> weights_, biases_;
};

// 3. Trains one way, and asks after every update how good the net is with rounded weights.
chart::Series train(const Ring& ring, Weights how, const char* name) {
  constexpr int kUpdates = 400;
  constexpr double kRate = 0.2;
  Net net;
  optim::Momentum descent(net.parameters(), {.lr = kRate, .momentum = 0.9});
  chart::Series right{name};
  for (int update = 0; update < kUpdates; ++update) {
    descent.set_lr(kRate * (1 - static_cast<double>(update) / kUpdates));
    ops::softmax_cross_entropy(net(ring.points, how), ring.inside).backward();
    descent.step();
    descent.zero_grad();
    right.points.push_back({static_cast<double>(update), net.share_right(ring, Weights::straight_through)});
  }
  const double rounded = 100 * right.points.back().y, floats = 100 * net.share_right(ring, Weights::floats);
  fmt::print("   {:20} rounded net {:5.2f} % right, its floats {:5.2f} %\n", name, rounded, floats);
  return right;
}

chart::Svg teach() {
  two_slopes();
  one_weight();
  fmt::print("3. 400 points, is it in the ring? weights of two bits\n");
  const Ring ring;
  chart::LineChart chart{.title = "Weights of two bits: right answers of the rounded net",
                         .x_name = "updates",
                         .y_name = "right",
                         .percent = true};
  chart.series = {train(ring, Weights::true_gradient, "true gradient"),
                  train(ring, Weights::floats, "floats, then rounded"),
                  train(ring, Weights::straight_through, "through the rounding")};
  return draw(chart);
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
