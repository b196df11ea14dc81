// What a configuration asks of the Trainer: PACT's thresholds in the optimizer, with a decay of their own.
#include "quant/training/training_setup.h"

#include <gtest/gtest.h>

#include <functional>

#include "quant/prepare.h"
#include "quant/quantizers/pact.h"
#include "tests/optim/toy_problem.h"

namespace octet::quant {
namespace {

using Thresholds = std::map<std::string, float>;

/// The thresholds behind `steps` steps of plain gradient descent, and where they started.
struct Trained {
  Thresholds first, last;
};

Trained train(const QuantConfig& config, std::int64_t steps, double weight_decay = 0) {
  const auto net = test::toy_net();
  prepare(*net, {1, 32, 32, 3}, config);
  const auto thresholds = [&] {
    Thresholds all;
    for (const auto& [path, module] : net->named_modules())
      if (const auto* pact = dynamic_cast<const Pact*>(module)) all[path] = pact->threshold();
    return all;
  };
  struct Starts : optim::Method {
    explicit Starts(std::function<Thresholds()> look) : thresholds(std::move(look)) {}
    Variable loss(const Variable& so_far, const data::Batch&, const Variable&) override {
      if (first.empty()) first = thresholds();  // the first forward pass has started them
      return so_far;
    }
    std::function<Thresholds()> thresholds;
    Thresholds first;
  };
  auto starts = std::make_shared<Starts>(thresholds);
  optim::Trainer trainer(net);
  optim::Trainer::Settings settings{{0.05, 0, weight_decay, false}, optim::ScheduleKind::constant, 0};
  training_setup(*net, config).add_to(settings);
  settings.methods.push_back(starts);
  trainer.prepare(settings);
  optim::FitOptions fit;
  fit.epochs = steps, fit.loader.batch_size = 16;
  trainer.fit(test::toy_pictures(16, 1), fit);
  return {starts->first, thresholds()};
}

QuantConfig pact(Scheme scheme, std::optional<double> decay) {
  QuantConfig config;
  config.scheme = scheme;
  config.weight_preprocess_type = config.activation_preprocess_type = Preprocess::pact;
  config.activation_bits = config.weight_bits = 4;
  config.pact_decay = decay;
  return config;
}

TEST(PactInTraining, ThresholdsAreTheOptimizers) {
  for (const Scheme scheme : {Scheme::octet, Scheme::paddle}) {
    const Trained trained = train(pact(scheme, {}), 8);
    EXPECT_GE(trained.first.size(), 6u);
    int moved = 0;
    for (const auto& [name, first] : trained.first) moved += trained.last.at(name) != first;
    EXPECT_GE(moved, 3) << name_of(scheme) << ": thresholds of values, by their gradients alone";
  }
}

/// α ← α − lr·(g + decay·α): what the decay adds to one step is lr·decay·α.
TEST(PactInTraining, DecayIsTheirOwn) {
  for (const Scheme scheme : {Scheme::octet, Scheme::paddle}) {
    const Trained plain = train(pact(scheme, {}), 1), decayed = train(pact(scheme, 0.3), 1),
                  off = train(pact(scheme, 0.0), 1, 0.3), inherited = train(pact(scheme, {}), 1, 0.3);
    for (const auto& [name, first] : plain.first) {
      EXPECT_NEAR(decayed.last.at(name), plain.last.at(name) - 0.05 * 0.3 * first, 1e-6 * first) << name;
      EXPECT_EQ(off.last.at(name), plain.last.at(name)) << name << ": the weights' decay is not theirs";
      EXPECT_NEAR(inherited.last.at(name), decayed.last.at(name), 1e-6 * first)
          << name << ": without a decay of their own it is";
    }
  }
}

TEST(PactInTraining, DecayMakesThresholdsClip) {
  const Trained trained = train(pact(Scheme::octet, 0.3), 10);
  for (const auto& [name, first] : trained.first) EXPECT_LT(trained.last.at(name), 0.95 * first) << name;
}

}  // namespace
}  // namespace octet::quant
