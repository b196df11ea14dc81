// Lesson 5: learning the step: PACT and LSQ. docs/course/05-learned-steps.md
#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "apps/lessons/lesson.h"
#include "optim/momentum.h"
#include "quant/quantizers/learned_step.h"

using namespace octet;

namespace {

constexpr quant::Grid kFourBits{.bits = 4, .is_unsigned = true};
constexpr int kUpdates = 600;

/// What a ReLU lets through of normal values: N,C.
Tensor activations() {
  std::vector<float> values = lesson::normals(4000, 1, 50);
  for (float& x : values) x = std::max(x, 0.0f);
  return Tensor::from({1, 4000}, values);
}

/// Gradient of the mean of (x' − x)² with respect to x'.
Tensor slope(const Tensor& rounded, const Tensor& x) {
  Tensor slope(x.shape());
  for (std::int64_t i = 0; i < x.numel(); ++i)
    slope.data<float>()[i] = 2 * (rounded.data<float>()[i] - x.data<float>()[i]) / static_cast<float>(x.numel());
  return slope;
}

/// The threshold, update by update, while the quantizer learns to give x back.
chart::Series learn(const char* name, quant::FakeQuantizer& quantizer, const Tensor& x,
                    optim::MomentumOptions options) {
  optim::Momentum descent(quantizer.named_parameters(), options);
  chart::Series thresholds{name};
  for (int update = 0; update <= kUpdates; ++update) {
    const Variable rounded = quantizer.apply(Variable(x));
    const QuantParams grid = quantizer.params().value();
    if (update % 6 == 0)
      thresholds.points.push_back({static_cast<double>(update), static_cast<double>(grid.step()) * grid.hi});
    if (update == kUpdates)
      fmt::print("   {:17} threshold {:.3f}, from {:.3f}: rms error {:.4f}\n", name, thresholds.points.back().y,
                 thresholds.points[0].y, lesson::rms_error(x.span<float>(), rounded.value().span<float>()));
    rounded.backward(slope(rounded.value(), x));
    descent.step();
    descent.zero_grad();
  }
  return thresholds;
}

/// LSQ that starts at its own first step, times a factor.
chart::Series lsq(const char* name, const Tensor& x, float factor) {
  const auto quantizer = quant::LearnedStepQuantizer::for_activation(kFourBits);
  quantizer->apply(Variable(x));
  Tensor step = quantizer->parameters()[0].value();
  step.fill(step.item() * static_cast<double>(factor));
  return learn(name, *quantizer, x, {.lr = 0.5, .momentum = 0.9});
}

chart::Series pact(const char* name, const Tensor& x, double decay) {
  quant::ActivationQuantizer quantizer(kFourBits, std::make_shared<quant::AbsMaxObserver>(),
                                       std::make_shared<quant::Pact>());
  return learn(name, quantizer, x, {.lr = 0.5, .momentum = 0.9, .weight_decay = decay});
}

/// The threshold with the least error, as in lesson 4.
chart::Point best_by_trying(const Tensor& x) {
  chart::Point best{0, 1};
  for (int i = 100; i <= 400; ++i) {
    const double error = lesson::rms_error(x.span<float>(), kFourBits.over({0, static_cast<float>(i) / 100}));
    if (error < best.y) best = {i / 100.0, error};
  }
  return best;
}

chart::Svg teach() {
  const Tensor x = activations();
  const chart::Point best = best_by_trying(x);
  fmt::print("1. four bits, best threshold by trying {:.2f}: rms error {:.4f}\n2. learned in {} updates\n", best.x,
             best.y, kUpdates);
  chart::LineChart chart{
      .title = "Four bits: the threshold that training finds", .x_name = "updates", .y_name = "threshold, in σ"};
  chart.series = {lsq("LSQ", x, 1),
                  lsq("LSQ, high start", x, 2),
                  lsq("LSQ, low start", x, 0.25f),
                  pact("PACT", x, 0),
                  pact("PACT, decay 0.002", x, 0.002),
                  {.name = "best", .points = {{0, best.x}, {kUpdates, best.x}}}};
  return draw(chart);
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
