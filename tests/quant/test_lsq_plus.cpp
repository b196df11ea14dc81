// LSQ+: step and offset of activations are learned; zero stays a code.
#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "nn/layers.h"
#include "optim/trainer.h"
#include "quant/prepare.h"
#include "quant/quantizers/learned_step.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

/// Of x·sigmoid(x), as behind a SiLU: a short tail below zero, a long one above.
Tensor silu_values(std::int64_t count, std::uint64_t seed) {
  Tensor t(Shape{4, count / 4});
  Random random(seed, Purpose::test);
  for (float& x : t.span<float>()) {
    const double normal = 2 * random.normal();
    x = static_cast<float>(normal / (1 + std::exp(-normal)));
  }
  return t;
}

std::shared_ptr<LearnedStepQuantizer> quantizer_of(int bits) {
  Grid grid;
  grid.bits = bits, grid.affine = true;
  return LearnedStepQuantizer::for_activation(grid);
}

Variable parameter(nn::Module& module, const std::string& wanted) {
  for (const auto& [name, variable] : module.named_parameters())
    if (name == wanted) return variable;
  fail("test", "no parameter " + wanted);
}

double squared_error(const QuantParams& grid, const Tensor& values) {
  double sum = 0;
  for (const float x : values.span<float>()) {
    const double e = grid.dequantize(grid.quantize(x)) - x;
    sum += e * e;
  }
  return sum;
}

TEST(LsqPlus, StartsWhereTheErrorIsSmall) {
  const Tensor x = silu_values(4096, 1);
  const auto affine = quantizer_of(4);
  Grid plain;
  plain.bits = 4;
  const auto symmetric = LearnedStepQuantizer::for_activation(plain);
  EXPECT_FALSE(affine->params().has_value());
  for (const auto& quantizer : {affine, symmetric}) quantizer->apply(Variable(x));
  const QuantParams first = affine->params().value();
  EXPECT_GT(first.zero_point, 0);
  EXPECT_LT(squared_error(first, x), 0.5 * squared_error(symmetric->params().value(), x));
  for (const float factor : {0.7f, 1.4f}) {
    QuantParams other = first;
    other.scale[0] *= factor;
    EXPECT_LT(squared_error(first, x), squared_error(other, x)) << factor;
  }
  for (const int shift : {-1, 1}) {
    QuantParams other = first;
    other.zero_point += shift;
    EXPECT_LT(squared_error(first, x), squared_error(other, x)) << shift;
  }
}

/// What apply() computes lies on the grid that params() tells, wherever the offset has gone, and zero is one of its
/// values.
TEST(LsqPlus, ZeroStaysACode) {
  const auto quantizer = quantizer_of(3);
  const Tensor x = silu_values(64, 2);
  quantizer->apply(Variable(x));
  Variable step = parameter(*quantizer, "step"), offset = parameter(*quantizer, "offset");
  step.value().fill(0.5);
  for (const auto& [to, zero_point] :
       {std::pair<double, int>{-1.1, 2}, {-0.2, 0}, {3, 0}, {-100, 7}, {-0.25, 0}, {-0.75, 2}}) {
    offset.value().fill(to);
    const QuantParams grid = quantizer->params().value();
    EXPECT_EQ(grid.zero_point, zero_point) << to;
    const Tensor y = quantizer->apply(Variable(x)).value();
    for (std::int64_t i = 0; i < x.numel(); ++i) EXPECT_EQ(y.at(i), grid.dequantize(grid.quantize(x.data<float>()[i])));
    EXPECT_EQ(quantizer->params().value(), grid);
    EXPECT_LE(offset.value().at(0), 0) << "an offset without effect would not come back soon";
    EXPECT_GE(offset.value().at(0), -3.5);
  }
  offset.value().fill(std::nan(""));
  EXPECT_ERROR(quantizer->params(), "[lsq_plus] the offset is nan");
}

/// Descent on the squared error from a grid that starts at zero: the offset goes where the values are.
TEST(LsqPlus, LearnsTheOffset) {
  const auto quantizer = quantizer_of(4);
  const Variable x(silu_values(4096, 3), true);
  quantizer->apply(x);
  const double best = squared_error(quantizer->params().value(), x.value());
  Variable step = parameter(*quantizer, "step"), offset = parameter(*quantizer, "offset");
  step.value().fill(0.8), offset.value().fill(0);
  const double before = squared_error(quantizer->params().value(), x.value());
  for (int i = 0; i < 400; ++i) {
    step.zero_grad(), offset.zero_grad();
    const Variable y = quantizer->apply(x);
    Tensor gradient(x.shape());
    for (std::int64_t j = 0; j < gradient.numel(); ++j)
      gradient.data<float>()[j] = static_cast<float>(2 * (y.value().at(j) - x.value().at(j)));
    y.backward(gradient);
    for (Variable* p : {&step, &offset}) p->value().data<float>()[0] -= static_cast<float>(0.001 * p->grad().at(0));
  }
  EXPECT_LT(offset.value().at(0), -0.1);
  EXPECT_LT(squared_error(quantizer->params().value(), x.value()), 0.7 * before);
  EXPECT_LT(squared_error(quantizer->params().value(), x.value()), 1.5 * best);
}

TEST(LsqPlus, IsOfActivationsAlone) {
  Grid grid;
  grid.affine = true;
  EXPECT_ERROR(LearnedStepQuantizer::for_weight(grid, 1), "for weights no zero point");
}

QuantConfig lsq_plus() {
  QuantConfig config;
  config.activation_quantize_type = ActivationQuantize::lsq, config.activation_affine = true;
  config.weight_quantize_type = WeightQuantize::channel_wise_lsq;
  config.activation_bits = 4;
  return config;
}

TEST(LsqPlus, AResumedFitHasTheSameBits) {
  struct Stop {};
  struct StopAfter : optim::Callback {
    void on_step(const optim::Progress& p) override {
      if (p.step == 8) throw Stop();
    }
  };
  const data::Dataset set = test::toy_pictures(80, 1);
  const auto fit = [&](optim::FitOptions options, bool stops) {
    const auto net = test::toy_net();
    prepare(*net, {1, 32, 32, 3}, lsq_plus());
    optim::Trainer trainer(net);
    trainer.prepare({{0.05, 0.9, 1e-4, false}, optim::ScheduleKind::cosine, 0});
    options.epochs = 3, options.loader = {.batch_size = 16, .seed = 3};
    StopAfter stop;
    try {
      trainer.fit(set, options, stops ? &stop : nullptr);
    } catch (const Stop&) {
    }
    return test::state_crc(net->state());
  };
  const test::TempFolder folder;
  const std::uint32_t whole = fit({}, false);
  optim::FitOptions options;
  options.checkpoint_path = folder / "c", options.tag = "t", options.checkpoint_every = 1;
  fit(options, true);
  options.resume = true;
  EXPECT_EQ(fit(options, false), whole);
}

}  // namespace
}  // namespace octet::quant
