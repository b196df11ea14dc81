// The climb of a step against its formula, made by hand; what a fit with it keeps and what it refuses.
#include "optim/sharpness_aware.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/ops.h"
#include "optim/momentum.h"
#include "optim/trainer.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/stop_after.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using optim::FitOptions;
using optim::SharpnessAware;
using optim::SharpnessOptions;
using optim::Trainer;

constexpr double kSmoothing = 0.05;

std::shared_ptr<nn::Module> fitted(const FitOptions& options, const SharpnessOptions& sharpness,
                                   optim::Callback* callback = nullptr) {
  const auto net = toy_net();
  Trainer trainer(net);
  Trainer::Settings settings{{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::constant, kSmoothing};
  settings.methods = {std::make_shared<SharpnessAware>(*net, sharpness)};
  trainer.prepare(settings);
  try {
    trainer.fit(three_toy_batches(), options, callback);
  } catch (const Stop&) {
  }
  return net;
}

std::uint32_t crc_of(const FitOptions& options, double radius, std::int64_t share) {
  return state_crc(fitted(options, {radius, kSmoothing, share})->state());
}

void backward_of(nn::Module& net, const data::Batch& batch, std::int64_t pictures) {
  ops::softmax_cross_entropy(net(Variable(batch.images.slice(0, pictures))), batch.labels.slice(0, pictures),
                             kSmoothing)
      .backward();
}

/// An epoch as the paper has it, parameter by parameter.
std::shared_ptr<nn::Module> by_hand(double radius, std::int64_t share) {
  const auto net = toy_net();
  net->train();
  optim::Momentum optimizer(net->named_parameters(), {0.05, 0.9, 1e-4, true});
  const data::Loader loader(three_toy_batches(), toy_options(1).loader);
  for (std::int64_t i = 0; i < loader.batches_per_epoch(); ++i) {
    const data::Batch batch = loader.make(0, i);
    backward_of(*net, batch, batch.size() / share);
    double squares = 0;
    for (const Variable& p : net->parameters())
      for (std::int64_t k = 0; k < p.grad().numel(); ++k) squares += p.grad().at(k) * p.grad().at(k);
    std::vector<Tensor> before;
    for (Variable p : net->parameters()) {
      before.push_back(p.value().clone());
      for (std::int64_t k = 0; k < p.value().numel(); ++k)
        p.value().data<float>()[k] += static_cast<float>(radius * p.grad().at(k) / std::sqrt(squares));
    }
    optimizer.zero_grad();
    backward_of(*net, batch, batch.size());
    auto saved = before.begin();
    for (Variable p : net->parameters()) p.value().copy_from(*saved++);
    optimizer.step();
    optimizer.zero_grad();
  }
  return net;
}

double distance(const nn::Module& a, const nn::Module& b) {
  double most = 0;
  const auto all = a.parameters(), others = b.parameters();
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::int64_t k = 0; k < all[i].value().numel(); ++k)
      most = std::max(most, std::abs(all[i].value().at(k) - others[i].value().at(k)));
  return most;
}

TEST(SharpnessAware, AStepIsThePapers) {
  const auto plain = toy_net();
  Trainer trainer(plain);
  trainer.prepare({{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::constant, kSmoothing});
  trainer.fit(three_toy_batches(), toy_options(1));
  for (const std::int64_t share : {1, 2, 3}) {
    const auto net = fitted(toy_options(1), {0.3, kSmoothing, share});
    EXPECT_LT(distance(*net, *by_hand(0.3, share)), 1e-6) << share;
    EXPECT_GT(distance(*net, *plain), 1e-3) << share;
  }
}

TEST(SharpnessAware, AResumedFitHasTheSameBits) {
  const TempFolder folder;
  const std::uint32_t whole = crc_of(toy_options(2), 0.1, 4);
  EXPECT_NE(whole, crc_of(toy_options(2), 0.2, 4));
  EXPECT_NE(whole, crc_of(toy_options(2), 0.1, 2));
  for (const std::int64_t stop_after : {1, 3, 4}) {
    FitOptions options = toy_options(2);
    options.checkpoint_path = folder / std::to_string(stop_after), options.tag = "t", options.checkpoint_every = 1;
    StopAfter stop(stop_after);
    fitted(options, {0.1, kSmoothing, 4}, &stop);
    options.resume = true;
    EXPECT_EQ(crc_of(options, 0.1, 4), whole) << stop_after;
  }
}

std::uint32_t weights_crc(const nn::Module& net) {
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const auto& [name, parameter] : net.named_parameters()) weights.emplace_back(name, Variable(parameter).value());
  return state_crc(weights);
}

struct ThrowsAbove : optim::Method {
  explicit ThrowsAbove(nn::Module& model) : net(model) {}
  void begin_step(std::int64_t) override { before = weights_crc(net); }
  void before_update() override {
    above = weights_crc(net);
    throw Stop();
  }
  nn::Module& net;
  std::uint32_t before = 0, above = 0;
};

TEST(SharpnessAware, AStepThatThrowsLeavesTheWeightsWhereTheyWere) {
  const auto net = toy_net();
  Trainer trainer(net);
  Trainer::Settings settings{{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::constant, kSmoothing};
  const auto throws = std::make_shared<ThrowsAbove>(*net);
  settings.methods = {throws, std::make_shared<SharpnessAware>(*net, SharpnessOptions{0.3, kSmoothing, 1})};
  trainer.prepare(settings);
  EXPECT_THROW(trainer.fit(three_toy_batches(), toy_options(1)), Stop);
  EXPECT_NE(throws->above, throws->before);
  EXPECT_EQ(weights_crc(*net), throws->before);
}

// A batch of fewer pictures than the share has one that tells the way.
TEST(SharpnessAware, SmallBatches) {
  EXPECT_NE(crc_of(toy_options(1), 0.1, 1000), crc_of(toy_options(1), 0.1, 1));
  EXPECT_EQ(crc_of(toy_options(1), 0.1, 1000), crc_of(toy_options(1), 0.1, 16)) << "batches of 16 and fewer: one";
}

TEST(SharpnessAware, Refusals) {
  const auto net = toy_net();
  for (const double radius : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_ERROR(SharpnessAware(*net, {.radius = radius}), "it must be above 0");
  EXPECT_ERROR(SharpnessAware(*net, {.share = 0}), "a share of 1/0 of a batch");
}

}  // namespace
}  // namespace octet::test
