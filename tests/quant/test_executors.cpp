// The three executors against each other: the training-time model, the simulator and the engine.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "nn/models.h"
#include "quant/analysis/compare.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "random_net.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::quant::test {
namespace {

struct Executed {
  Tensor trained, simulated, deployed;
  CodeMismatches mismatches;
  engine::Graph graph;
};

/// Runs a prepared model that has seen data through all three.
Executed run_all(const RandomNet& net, const QuantConfig& config, std::uint64_t seed) {
  const Tensor pictures = random_pictures(net.shape, seed + 1000000);
  Executed all;
  NoGrad no_grad;
  all.trained = (*net.model)(Variable(pictures)).value();
  NamedTensors simulator_values, engine_values;
  all.simulated = Simulator(*net.model, net.shape, config).run(pictures, &simulator_values);
  all.graph = convert(*net.model, net.shape, config);
  all.deployed = engine::Engine(all.graph).run(pictures, &engine_values);
  all.mismatches = code_mismatches(simulator_values, engine_values);
  return all;
}

Executed execute(std::uint64_t seed, const QuantConfig& config) {
  const RandomNet net = random_net(seed);
  prepare_and_show(net, config, seed);
  return run_all(net, config, seed);
}

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

/// Does every logit differ by less than `tolerance` of the largest?
bool close(const Tensor& a, const Tensor& b, double tolerance) {
  double largest = 0, apart = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    largest = std::max(largest, std::fabs(a.at(i)));
    apart = std::max(apart, std::fabs(a.at(i) - b.at(i)));
  }
  return apart <= tolerance * largest;
}

void expect_equal_codes(std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t seed = first; seed < end; ++seed) {
    const QuantConfig config = random_config(seed);
    SCOPED_TRACE(fmt::format("seed {} {}", seed, to_json(config)));
    const Executed all = execute(seed, config);
    EXPECT_EQ(all.mismatches.total(), 0) << all.mismatches.str() << engine::str(all.graph);
    EXPECT_TRUE(equal_bits(all.simulated, all.deployed));
  }
}

TEST(Executors, SimulatorAndEngineGiveEqualCodesOnRandomNets) { expect_equal_codes(0, 300); }
TEST(LongExecutors, SimulatorAndEngineGiveEqualCodesOnManyRandomNets) { expect_equal_codes(10000, 14000); }

TEST(Executors, TrainingModelAgreesWithSimulatorOnRandomNets) {
  int agreeing = 0;
  constexpr int kNets = 150;
  for (std::uint64_t seed = 0; seed < kNets; ++seed) {
    QuantConfig config;
    config.scheme = static_cast<Scheme>(seed % 3);
    const Executed all = execute(seed, config);
    agreeing += close(all.trained, all.simulated, 1e-4);
  }
  EXPECT_GE(agreeing, kNets * 9 / 10) << "of " << kNets;
}

/// Thresholds that clip, also values that may be negative: deployment has to end where training clips.
TEST(Executors, ValuesBeyondPactsThresholdsEndAlike) {
  int agreeing = 0;
  constexpr int kNets = 120;
  for (std::uint64_t seed = 0; seed < kNets; ++seed) {
    QuantConfig config;
    config.scheme = static_cast<Scheme>(seed % 3);
    config.weight_preprocess_type = config.activation_preprocess_type = Preprocess::pact;
    config.activation_affine = config.scheme == Scheme::octet && seed % 2 == 0;
    config.activation_bits = 2 + static_cast<int>(seed / 3 % 4) * 2;
    const RandomNet net = random_net(seed);
    prepare_and_show(net, config, seed);
    for (const auto& [name, parameter] : net.model->named_parameters())
      if (name.ends_with(".alpha"))
        for (float& alpha : Tensor(parameter.value()).span<float>()) alpha *= 0.3f;
    const Executed all = run_all(net, config, seed);
    EXPECT_EQ(all.mismatches.total(), 0) << "seed " << seed << '\n' << all.mismatches.str();
    agreeing += close(all.trained, all.simulated, 1e-4);
  }
  EXPECT_GE(agreeing, kNets * 9 / 10) << "of " << kNets;
}

// Every grid whose codes follow from the folded weight: per tensor, where folding decides them, and the others.
TEST(Executors, BatchNormFoldedWhileTraining) {
  int agreeing = 0;
  constexpr int kNets = 120;
  for (std::uint64_t seed = 0; seed < kNets; ++seed) {
    QuantConfig config;
    config.scheme = static_cast<Scheme>(seed % 3);
    config.batch_norm = BatchNormMode::folded;
    config.weight_quantize_type = static_cast<WeightQuantize>(seed / 3 % 4);
    if (seed % 2 == 0) config.weight_bits = 4;
    const Executed all = execute(seed, config);
    EXPECT_EQ(all.mismatches.total(), 0) << "seed " << seed << '\n' << all.mismatches.str();
    EXPECT_TRUE(equal_bits(all.simulated, all.deployed));
    agreeing += close(all.trained, all.simulated, 1e-4);
  }
  EXPECT_GE(agreeing, kNets * 9 / 10) << "of " << kNets;
}

TEST(Executors, TiesAreRoundedAlike) {
  // Steps that are powers of two: accumulators fall half way between codes all the time.
  QuantConfig config;
  config.activation_quantize_type = ActivationQuantize::lsq;
  config.weight_quantize_type = WeightQuantize::lsq;
  config.weight_bits = config.activation_bits = 4;
  for (std::uint64_t seed = 500; seed < 560; ++seed) {
    const RandomNet net = random_net(seed);
    prepare_and_show(net, config, seed);
    for (const auto& [name, parameter] : net.model->named_parameters())
      if (name.ends_with(".step"))
        for (float& step : Tensor(parameter.value()).span<float>()) step = std::exp2(std::rint(std::log2(step)));
    const Executed all = run_all(net, config, seed);
    EXPECT_EQ(all.mismatches.total(), 0) << "seed " << seed << '\n' << all.mismatches.str();
  }
}

TEST(Executors, ModelsOfTheHouse) {
  for (Scheme scheme : {Scheme::octet, Scheme::paddle, Scheme::tensorrt}) {
    for (const auto& model :
         {nn::mobilenet_v1({.scale = 0.25}), nn::mobilenet_v2({.scale = 0.25}),
          nn::mobilenet_v2({.scale = 0.125, .variant = nn::Variant::cifar}), nn::small_resnet({.width = 8})}) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(scheme), model->kind()));
      QuantConfig config;
      config.scheme = scheme;
      const RandomNet net{model, {2, 32, 32, 3}};
      prepare_and_show(net, config, 1);
      const Executed all = run_all(net, config, 1);
      EXPECT_EQ(all.mismatches.total(), 0) << all.mismatches.str();
      EXPECT_TRUE(equal_bits(all.simulated, all.deployed));
    }
  }
}

TEST(Executors, MixedPrecision) {
  for (Scheme scheme : {Scheme::octet, Scheme::paddle, Scheme::tensorrt})
    for (const auto& model : {nn::mobilenet_v1({.scale = 0.25}), nn::small_resnet({.width = 8})}) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(scheme), model->kind()));
      QuantConfig config;
      config.scheme = scheme;
      config.weight_bits = 3, config.activation_bits = 4;
      config.layer_bits = {{"fc", 8, 8}, {"*.0.*", 8, 8}, {"*.2.*", 2, 0}, {"*.1.*", 0, 5}};
      config.first_last_bits = 7;
      const RandomNet net{model, {2, 32, 32, 3}};
      prepare_and_show(net, config, 1);
      const Executed all = run_all(net, config, 1);
      EXPECT_EQ(all.mismatches.total(), 0) << all.mismatches.str();
      EXPECT_TRUE(equal_bits(all.simulated, all.deployed));
    }
}

TEST(Executors, TheSavedFileGivesTheSameLogits) {
  const octet::test::TempFolder folder;
  for (std::uint64_t seed = 700; seed < 720; ++seed) {
    const Executed all = execute(seed, random_config(seed));
    engine::save_graph(folder / "int8.safetensors", all.graph);
    const RandomNet net = random_net(seed);
    const Tensor pictures = random_pictures(net.shape, seed + 1000000);
    EXPECT_TRUE(equal_bits(engine::Engine::load(folder / "int8.safetensors").run(pictures), all.deployed))
        << "seed " << seed;
  }
}

TEST(Executors, BatchAndThreadsDoNotMatter) {
  const QuantConfig config;
  const RandomNet net = random_net(3);
  prepare_and_show(net, config, 3);
  const Simulator simulator(*net.model, net.shape, config);
  const Tensor pictures = random_pictures(net.shape, 9), together = simulator.run(pictures);
  for (std::int64_t i = 0; i < net.shape[0]; ++i)
    EXPECT_TRUE(equal_bits(simulator.run(pictures.slice(i, i + 1)), together.slice(i, i + 1)));
  EXPECT_ERROR(simulator.run(Tensor::zeros({2, 1, 1, 1})), "[simulator] pictures 2x1x1x1");
}

TEST(CodeMismatches, CountsAndSums) {
  const NamedTensors a{{"x", Tensor::from<std::int8_t>({3}, std::vector<std::int8_t>{1, 2, 3})},
                       {"y", Tensor::full({2}, 1)}};
  const NamedTensors b{{"y", Tensor::full({2}, 1)},
                       {"x", Tensor::from<std::int8_t>({3}, std::vector<std::int8_t>{1, 0, 4})}};
  CodeMismatches sum = code_mismatches(a, b);
  EXPECT_EQ(sum.total(), 2);
  EXPECT_EQ(sum.str(), "x: 2 of 3 differ\n");
  sum.add(code_mismatches(a, b));
  EXPECT_EQ(sum.total(), 4);
  EXPECT_EQ(sum.layers[0].elements, 6);
  EXPECT_ERROR(code_mismatches(a, {a[0], {"z", a[1].second}}), "no value 'y'");
  EXPECT_ERROR(code_mismatches(a, {a[0], {"y", Tensor::full({3}, 1)}}),
               "'y' is f32 2 in the simulator, f32 3 in the engine");
  EXPECT_ERROR(code_mismatches(a, {a[0]}), "the simulator has 2 values, the engine 1");
}

}  // namespace
}  // namespace octet::quant::test
