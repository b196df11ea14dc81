// The three executors against each other: the training-time model, the simulator and the engine.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "quant/compare.h"
#include "quant/convert.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/simulator.h"
#include "random_net.h"

namespace octet::quant::test {
namespace {

struct Executed {
  Tensor trained, simulated, deployed;
  CodeMismatches mismatches;
  engine::IntegerGraph graph;
};

Executed execute(std::uint64_t seed, const QuantConfig& config) {
  const RandomNet net = random_net(seed);
  prepare_and_show(net, config, seed);
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

bool equal_bits(const Tensor& a, const Tensor& b) { return a.nbytes() == b.nbytes() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0; }

/// Does every logit differ by less than `tolerance` of the largest?
bool close(const Tensor& a, const Tensor& b, double tolerance) {
  double largest = 0, apart = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    largest = std::max(largest, std::fabs(a.at(i)));
    apart = std::max(apart, std::fabs(a.at(i) - b.at(i)));
  }
  return apart <= tolerance * largest;
}

TEST(Executors, SimulatorAndEngineGiveEqualCodesOnRandomNets) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const QuantConfig config = random_config(seed);
    SCOPED_TRACE(fmt::format("seed {} {}", seed, to_json(config)));
    const Executed all = execute(seed, config);
    EXPECT_EQ(all.mismatches.total(), 0) << all.mismatches.str() << engine::str(all.graph);
    EXPECT_TRUE(equal_bits(all.simulated, all.deployed));
  }
}

TEST(Executors, TrainingModelAgreesWithSimulatorOnRandomNets) {
  int agreeing = 0;
  constexpr int kNets = 150;
  for (std::uint64_t seed = 0; seed < kNets; ++seed) {
    QuantConfig config;
    config.scheme = static_cast<Scheme>(seed % 3);
    const Executed all = execute(seed, config);
    agreeing += close(all.trained, all.simulated, 1e-4);
    if (std::getenv("SHOW") && !close(all.trained, all.simulated, 1e-4)) {
      double d=0,l=0; for (int i=0;i<all.trained.numel();++i) d=std::max(d,std::fabs(all.trained.at(i)-all.simulated.at(i))), l=std::max(l,std::fabs(all.trained.at(i)));
      printf("seed %d scheme %s: %g of %g\n", int(seed), name_of(config.scheme), d, l);
    }
  }
  EXPECT_GE(agreeing, kNets * 9 / 10) << "of " << kNets;
}

}  // namespace
}  // namespace octet::quant::test
