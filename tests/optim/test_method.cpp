// What a fit does with methods: the order of their calls, their terms of the loss, their state in checkpoints.
#include "optim/method.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops.h"
#include "optim/trainer.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/stop_after.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using test::Stop;
using test::StopAfter;

using optim::FitOptions;
using optim::Trainer;

/// Writes down what it is told.
struct Diary : optim::Method {
  void begin_fit(std::int64_t steps) override { text += fmt::format("fit of {};", steps); }
  bool begin_epoch(std::int64_t epoch) override {
    text += fmt::format(" epoch {}:", epoch);
    return false;
  }
  void begin_step(std::int64_t step) override { text += fmt::format(" {}", step); }
  void begin_batch(const data::Batch& batch) override {
    pictures = batch.size();
    text += "b";
  }
  Variable loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) override {
    EXPECT_EQ(batch.size(), logits.shape()[0]);
    EXPECT_EQ(batch.size(), pictures);
    text += "l";
    return so_far;
  }
  void before_update() override { text += "g"; }
  void after_update() override { text += "u"; }
  void end_fit() override { text += " end"; }
  std::int64_t pictures = 0;
  std::string text;
};

TEST(Method, IsCalledInOrder) {
  auto diary = std::make_shared<Diary>();
  Trainer trainer(toy_net());
  trainer.prepare({.methods = {diary}});
  trainer.fit(three_toy_batches(), toy_options(2));
  EXPECT_EQ(diary->text, "fit of 6; epoch 0: 0blgu 1blgu 2blgu epoch 1: 3blgu 4blgu 5blgu end");
}

/// Triples the loss, and pulls the first parameter towards a running mean of its own, which is its state.
struct Puller : optim::Method {
  explicit Puller(nn::Module& model) : weight(model.parameters()[0]), mean(weight.value().clone()) {}
  Variable loss(const Variable& so_far, const data::Batch&, const Variable&) override {
    return ops::mul_constant(so_far, Tensor::full({1}, 3));
  }
  void after_update() override {
    for (std::int64_t i = 0; i < mean.numel(); ++i) {
      float &w = weight.value().data<float>()[i], &m = mean.data<float>()[i];
      m += 0.1f * (w - m), w += 0.5f * (m - w);
    }
  }
  nn::Module::NamedTensors state() const override { return {{"puller.mean", mean}}; }
  Variable weight;
  Tensor mean;
};

std::uint32_t fit(const FitOptions& options, bool pulls, std::int64_t stop_after = 0) {
  const auto net = toy_net();
  Trainer trainer(net);
  Trainer::Settings settings{{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::cosine, 0.05};
  if (pulls) settings.methods = {std::make_shared<Puller>(*net)};
  trainer.prepare(settings);
  StopAfter callback(stop_after);
  try {
    trainer.fit(three_toy_batches(), options, stop_after > 0 ? &callback : nullptr);
  } catch (const Stop&) {
  }
  return state_crc(net->state());
}

TEST(Method, AResumedFitHasTheSameBits) {
  const TempFolder folder;
  const std::uint32_t whole = fit(toy_options(3), true);
  EXPECT_NE(whole, fit(toy_options(3), false));
  for (const std::int64_t stop_after : {2, 4, 7}) {
    FitOptions options = toy_options(3);
    options.checkpoint_path = folder / std::to_string(stop_after), options.tag = "t", options.checkpoint_every = 1;
    fit(options, true, stop_after);
    options.resume = true;
    EXPECT_ERROR(fit(options, false), "has 1 tensors of training methods, 0 expected");
    EXPECT_EQ(fit(options, true), whole) << stop_after;
  }
}

TEST(Method, ItsTermIsPartOfTheLoss) {
  const auto first_loss = [](bool pulls) {
    const auto net = toy_net();
    Trainer trainer(net);
    Trainer::Settings settings;
    if (pulls) settings.methods = {std::make_shared<Puller>(*net)};
    trainer.prepare(settings);
    struct First : optim::Callback {
      void on_step(const optim::Progress& p) override { loss = loss == 0 ? p.batch_loss : loss; }
      double loss = 0;
    } first;
    trainer.fit(three_toy_batches(), toy_options(1), &first);
    return first.loss;
  };
  EXPECT_FLOAT_EQ(static_cast<float>(first_loss(true)), static_cast<float>(3 * first_loss(false)));
}

/// A parameter without gradient from the loss moves by its decay alone: p ← p·(1 − lr·decay) a step.
TEST(Trainer, SingleParametersHaveTheirOwnWeightDecay) {
  struct Idle : nn::Module {
    explicit Idle(std::shared_ptr<nn::Module> net)
        : net_(register_module("net", std::move(net))), idle(register_parameter("idle", Tensor::full({1}, 2))) {}
    std::string kind() const override { return "Idle"; }
    Variable forward(const Variable& src) override { return (*net_)(src); }
    std::shared_ptr<nn::Module> net_;
    Variable idle;
  };
  auto net = std::make_shared<Idle>(toy_net());
  Trainer trainer(net);
  Trainer::Settings settings{{0.1, 0, 0, false}, optim::ScheduleKind::constant, 0};
  settings.weight_decays = {{"idle", 0.5}};
  struct Touch : optim::Method {  // gives it a gradient of zero
    explicit Touch(Variable v) : idle(std::move(v)) {}
    Variable loss(const Variable& so_far, const data::Batch&, const Variable&) override {
      return ops::add(so_far, ops::mul_constant(idle, Tensor::zeros({1})));
    }
    Variable idle;
  };
  settings.methods = {std::make_shared<Touch>(net->idle)};
  trainer.prepare(settings);
  trainer.fit(three_toy_batches(), toy_options(1));
  EXPECT_NEAR(net->idle.value().item(), 2 * std::pow(1 - 0.1 * 0.5, 3), 1e-6);
  settings.weight_decays = {{"nobody", 0.5}};
  trainer.prepare(settings);
  EXPECT_ERROR(trainer.fit(three_toy_batches(), toy_options(1)),
               "[fit] there is a weight decay for 'nobody', which is no parameter");
}

}  // namespace
}  // namespace octet::test
