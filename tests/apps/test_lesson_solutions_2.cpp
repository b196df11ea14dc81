// The solutions of the course's exercises, lessons 5 to 8, held against what Octet computes.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/lessons/lesson.h"
#include "apps/lessons/solutions/05_learned_steps.h"
#include "apps/lessons/solutions/06_few_bits.h"
#include "apps/lessons/solutions/07_cycles.h"
#include "apps/lessons/solutions/08_deploy.h"
#include "apps/lessons/stripes.h"
#include "core/random.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/qat.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/apps/grids.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using test::grid_of;

namespace {

// --- Lesson 5

TEST(Solution05, SlopeOfStep) {
  for (int i = -60; i <= 60; ++i) {
    const float x = static_cast<float>(i) / 16;  // ties and both ends among them
    const Variable step(Tensor::full({1}, 0.25), true);
    ops::fake_quant_learned(Variable(Tensor::full({1}, static_cast<double>(x))), step, grid_of(1, -8, 7), 1)
        .backward(Tensor::full({1}, 1));
    EXPECT_EQ(solution_05::slope_of_step(x, 0.25f, -8, 7), static_cast<float>(step.grad().item())) << x;
  }
}

TEST(Solution05, SlopeOfAlpha) {
  const std::vector<float> x = lesson::normals(1000, 1, 1), gradient = lesson::normals(1000, 1, 2);
  for (const double threshold : {0.5, 1.0, 2.5}) {
    const Variable alpha(Tensor::full({1}, threshold), true);
    ops::pact(Variable(Tensor::from({1000}, x)), alpha).backward(Tensor::from({1000}, gradient));
    EXPECT_NEAR(static_cast<double>(solution_05::slope_of_alpha(x, gradient, static_cast<float>(threshold))),
                alpha.grad().item(), 1e-3);
  }
}

TEST(Solution05, PactAtRest) {
  std::vector<float> x = lesson::normals(4000, 1, 3);
  for (float& value : x) value = std::max(value, 0.0f);
  const Tensor values = Tensor::from({1, 4000}, x);
  for (const double decay : {0.0005, 0.002, 0.01}) {
    quant::ActivationQuantizer quantizer({.bits = 4, .is_unsigned = true}, std::make_shared<quant::AbsMaxObserver>(),
                                         std::make_shared<quant::Pact>());
    optim::Momentum descent(quantizer.named_parameters(), {.lr = 0.5, .momentum = 0.9, .weight_decay = decay});
    for (int update = 0; update < 1500; ++update) {
      const Variable rounded = quantizer.apply(Variable(values));
      Tensor slope(values.shape());
      for (std::int64_t i = 0; i < 4000; ++i)
        slope.data<float>()[i] = (rounded.value().data<float>()[i] - values.data<float>()[i]) / 2000;
      rounded.backward(slope);
      descent.step();
      descent.zero_grad();
    }
    EXPECT_NEAR(solution_05::pact_at_rest(x, decay), quantizer.parameters()[0].value().item(), 0.01) << decay;
  }
}

// --- Lesson 6

/// Codes of one weight on a grid of step 0.1 that is trained towards a target through its rounding, once it has
/// settled.
std::vector<std::int32_t> codes_of(double target, double rate) {
  const QuantParams grid = grid_of(0.1f, -127, 127);
  Variable w(Tensor::full({1}, 0.2), true);
  optim::Momentum descent({{"w", w}}, {.lr = rate, .momentum = 0});
  std::vector<std::int32_t> codes;
  for (int i = 0; i < 3000; ++i) {
    const Variable q = ops::fake_quant(w, grid);
    if (i >= 1000) codes.push_back(grid.quantize(static_cast<float>(w.value().item())));
    q.backward(Tensor::full({1}, q.value().item() - target));
    descent.step();
    descent.zero_grad();
  }
  return codes;
}

constexpr double kTargets[] = {0.24, 0.21, 0.33, 0.275, 0.18};

TEST(Solution06, FlipsPerUpdate) {
  for (const double target : kTargets)
    for (const double rate : {0.25, 0.05}) {
      const std::vector<std::int32_t> codes = codes_of(target, rate);
      int flips = 0;
      for (std::size_t i = 1; i < codes.size(); ++i) flips += codes[i] != codes[i - 1];
      EXPECT_NEAR(solution_06::flips_per_update(target, 0.1), flips / 2000.0, 0.01) << target << ", rate " << rate;
    }
}

TEST(Solution06, Oscillations) {
  using Codes = std::vector<std::int32_t>;
  EXPECT_EQ(solution_06::oscillations(Codes{3}), 0);
  EXPECT_EQ(solution_06::oscillations(Codes{0, 1, 2, 3, 3, 4}), 0);     // on its way
  EXPECT_EQ(solution_06::oscillations(Codes{0, 1, 1, 1, 0, 0, 1}), 2);  // the first flip is against nothing
  EXPECT_EQ(solution_06::oscillations(Codes{5, 3, 4, 6, 6, 5, 5, 4}), 2);
  const std::vector<std::int32_t> settled = codes_of(0.24, 0.25);  // every flip but the first
  EXPECT_NEAR(solution_06::oscillations(settled), 0.8 * 2000, 20);
}

TEST(Solution06, FrozenCode) {
  for (const double target : kTargets)
    EXPECT_EQ(solution_06::frozen_code(codes_of(target, 0.25), 0.99), std::lround(target / 0.1)) << target;
}

// --- Lesson 7

TEST(Solution07, LargestSafeWeight) {
  const auto saturates = [](int w) { return 2 * 255 * w > 32767 || 2 * 255 * -w < -32768; };
  EXPECT_FALSE(saturates(solution_07::kLargestSafeWeight));
  EXPECT_TRUE(saturates(solution_07::kLargestSafeWeight + 1));
}

TEST(Solution07, DotSigned) {
  Random random(1, Purpose::test, 4);
  std::vector<std::int8_t> x(100), w(100);
  for (auto& code : x) code = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
  for (auto& code : w) code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
  kernels::IntConvProblem problem;
  problem.geometry = {.c = 100}, problem.src = DType::s8, problem.store.dst = DType::f32;
  const float one = 1;
  float octets = 0;
  kernels::plan_conv2d_int8(problem, {.weight = w.data(), .multiplier = &one}).run(x.data(), &octets);
  EXPECT_EQ(static_cast<float>(solution_07::dot_signed(x, w)), octets);
}

TEST(Solution07, PicturesAtTheEdge) {
  const auto operations_a_byte = [](std::int64_t pictures) {
    const kernels::ConvGeometry g{.n = pictures, .c = 1024, .k = 1024};
    const std::int64_t bytes = g.n * g.h * g.w * g.c + g.out_pixels() * g.k + g.k * g.c;
    return 2.0 * static_cast<double>(g.out_pixels() * g.k * g.c) / static_cast<double>(bytes);
  };
  EXPECT_GE(operations_a_byte(solution_07::kPicturesAtTheEdge), 256.0 / 8);
  EXPECT_LT(operations_a_byte(solution_07::kPicturesAtTheEdge - 1), 256.0 / 8);
}

// --- Lesson 8

/// The lesson's net with 8 bits, hardly trained.
engine::Graph small_graph() {
  const auto net = lesson::stripes_net();
  quant::Qat qat;
  qat.quantize(*net, lesson::stripes_shape());
  lesson::train(*net, {.updates = 5});
  return qat.convert(*net);
}

TEST(Solution08, BytesOfTensors) {
  const test::TempFolder folder;
  const engine::Graph graph = small_graph();
  engine::save_graph(folder / "int8.safetensors", graph);
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : read_safetensors(folder / "int8.safetensors").tensors) bytes += tensor.nbytes();
  EXPECT_EQ(solution_08::bytes_of_tensors(graph), bytes);
}

TEST(Solution08, OnnxQuantize) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::int32_t z : {0, 128, 17}) {
    QuantParams grid = grid_of(0.25f, 0, 255);
    grid.zero_point = z;
    for (int i = -2000; i <= 2000; ++i) {
      const float x = static_cast<float>(i) / 16;
      ASSERT_EQ(solution_08::onnx_quantize(x, 0.25f, z, 0, 255), grid.quantize(x)) << x;
    }
    for (const float x : {infinity, -infinity, 3e38f})
      EXPECT_EQ(solution_08::onnx_quantize(x, 0.25f, z, 0, 255), grid.quantize(x)) << x;
  }
}

TEST(Solution08, FirstDifference) {
  const engine::Graph graph = small_graph();
  const Tensor pictures = lesson::stripes(20, 7).images;
  NamedTensors good, again, broken;
  engine::Engine(graph).run(pictures, &good);
  engine::Engine(graph).run(pictures, &again);
  EXPECT_EQ(solution_08::first_difference(good, again), "");
  for (const engine::GraphNode& node : graph.nodes) {
    if (!engine::is_layer(node.op)) continue;
    engine::Graph changed = graph;
    Tensor& weight = changed.nodes[static_cast<std::size_t>(&node - graph.nodes.data())].weight;
    weight = weight.clone();
    for (std::int8_t& code : weight.span<std::int8_t>()) code = static_cast<std::int8_t>(-code);
    engine::Engine(changed).run(pictures, &broken);
    EXPECT_EQ(solution_08::first_difference(good, broken), node.name);
  }
}

}  // namespace
