// Fit and evaluate: it learns, it goes on exactly where it was, and it fails in one line.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/parallel.h"
#include "nn/transform.h"
#include "ops/ops.h"
#include "optim/checkpoint.h"
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

namespace fs = std::filesystem;
using optim::Callback;
using optim::FitOptions;
using optim::FitResult;
using optim::Progress;
using optim::Trainer;

// 5 batches an epoch, the last one of 6 pictures.
const data::Dataset& toy_set() {
  static const data::Dataset set = toy_pictures(70, 1);
  return set;
}

const Trainer::Settings kSettings{{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::cosine, 0.05};

struct Recorder : Callback {
  std::vector<Progress> steps, epoch_ends;
  int begun = 0, ended = 0;
  std::vector<std::int64_t> evaluated;
  void on_fit_begin(const Progress&) override { ++begun; }
  void on_step(const Progress& p) override { steps.push_back(p); }
  void on_epoch_end(const Progress& p) override { epoch_ends.push_back(p); }
  void on_fit_end(const Progress&) override { ++ended; }
  void on_evaluate(std::int64_t done, std::int64_t, const optim::Scores&) override { evaluated.push_back(done); }
};

std::uint32_t crc_of_fit(const FitOptions& options, Callback* callback = nullptr) {
  Trainer trainer(toy_net());
  trainer.prepare(kSettings);
  trainer.fit(toy_set(), options, callback);
  return state_crc(trainer.model().state());
}

TEST(Trainer, LearnsAToyProblem) {
  Trainer trainer(toy_net());
  trainer.prepare({{0.1, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
  const data::Dataset train = toy_pictures(200, 1), test = toy_pictures(100, 2);
  EXPECT_LT(trainer.evaluate(test).top1(), 0.6);
  FitOptions options;
  options.epochs = 6;
  options.loader.batch_size = 20;
  const FitResult result = trainer.fit(train, options);
  EXPECT_LT(result.epochs.back().loss(), result.epochs.front().loss() / 2);
  EXPECT_GT(trainer.evaluate(test).top1(), 0.95);
}

TEST(Trainer, TellsWhatHappens) {
  Trainer trainer(toy_net());
  trainer.prepare(kSettings);
  Recorder recorder;
  const FitResult result = trainer.fit(toy_set(), toy_options(), &recorder);
  EXPECT_EQ(recorder.begun, 1);
  EXPECT_EQ(recorder.ended, 1);
  ASSERT_EQ(recorder.steps.size(), 10u);
  ASSERT_EQ(recorder.epoch_ends.size(), 2u);
  for (std::size_t i = 0; i < 10; ++i) {
    const Progress& p = recorder.steps[i];
    EXPECT_EQ(p.step, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(p.epoch, static_cast<std::int64_t>(i) / 5);
    EXPECT_EQ(p.batch, static_cast<std::int64_t>(i) % 5 + 1);
    EXPECT_EQ(p.batches, 5);
    EXPECT_EQ(p.scores.pictures, i % 5 == 4 ? 70 : 16 * p.batch);
    EXPECT_NEAR(p.lr, 0.025 * (1 + std::cos(M_PI * static_cast<double>(i) / 10)), 1e-12);
    EXPECT_GT(p.step_ms, 0);
  }
  ASSERT_EQ(result.epochs.size(), 2u);
  EXPECT_EQ(result.epochs[1].pictures, 70);
  EXPECT_EQ(result.epochs[1].loss(), recorder.epoch_ends[1].scores.loss());
  EXPECT_EQ(result.epochs[1].top5(), 1);  // of four classes
  EXPECT_EQ(result.step_ms.size(), 10u);
  EXPECT_GT(result.median_step_ms(), 0);
  EXPECT_EQ(FitResult().median_step_ms(), 0);
  EXPECT_EQ(optim::Scores().top1() + optim::Scores().loss(), 0);
}

TEST(Trainer, ResumedAtEveryStepGivesTheSameBits) {
  const std::uint32_t undisturbed = crc_of_fit(toy_options());
  for (std::int64_t every : {1, 3}) {
    for (std::int64_t stop = 1; stop <= 10; ++stop) {
      const TempFolder folder;
      FitOptions options = toy_options();
      options.checkpoint_every = every;
      options.checkpoint_path = folder / "c.safetensors";
      options.tag = "toy";
      StopAfter stopper(stop);
      EXPECT_THROW(crc_of_fit(options, &stopper), Stop);
      options.resume = true;
      Recorder recorder;
      EXPECT_EQ(crc_of_fit(options, &recorder), undisturbed) << every << " " << stop;
      EXPECT_EQ(recorder.epoch_ends.back().scores.pictures, 70);
      if (every == 1) {
        EXPECT_EQ(recorder.steps.size(),
                  static_cast<std::size_t>(11 - stop));  // the step that was cut off is done again
      }
    }
  }
}

TEST(Trainer, ResumedScoresAreThoseOfTheWholeEpoch) {
  const TempFolder folder;
  Recorder whole, rest;
  crc_of_fit(toy_options(1), &whole);
  FitOptions options = toy_options(1);
  options.checkpoint_every = 1;
  options.checkpoint_path = folder / "c";
  StopAfter stopper(4);
  EXPECT_THROW(crc_of_fit(options, &stopper), Stop);
  options.resume = true;
  crc_of_fit(options, &rest);
  EXPECT_EQ(rest.epoch_ends[0].scores.loss_sum, whole.epoch_ends[0].scores.loss_sum);
  EXPECT_EQ(rest.epoch_ends[0].scores.top1_hits, whole.epoch_ends[0].scores.top1_hits);
}

TEST(Trainer, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = num_threads();
  set_num_threads(1);
  const std::uint32_t one = crc_of_fit(toy_options());
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(crc_of_fit(toy_options()), one) << threads;
  }
  set_num_threads(before);
}

TEST(Trainer, ACallbackMayEvaluateAndAnEarlierGradientDoesNotCount) {
  const std::uint32_t undisturbed = crc_of_fit(toy_options());
  Trainer trainer(toy_net());
  trainer.prepare(kSettings);
  struct Evaluator : Callback {
    Trainer* trainer;
    void on_step(const Progress&) override { trainer->evaluate(toy_set().first(3)); }
  } evaluator;
  evaluator.trainer = &trainer;
  for (Variable p : trainer.model().parameters()) ops::add(p, p).backward(Tensor::full(p.shape(), 1));
  trainer.fit(toy_set(), toy_options(), &evaluator);
  EXPECT_EQ(state_crc(trainer.model().state()), undisturbed);
}

TEST(Trainer, FirstEpochAndSeedChangeTheOrder) {
  const std::uint32_t first = crc_of_fit(toy_options(1));
  FitOptions options = toy_options(1);
  options.first_epoch = 1;
  EXPECT_NE(crc_of_fit(options), first);
  options = toy_options(1);
  options.loader.seed = 4;
  EXPECT_NE(crc_of_fit(options), first);
}

// A threshold that quantization would add after the trainer was made.
class Threshold : public nn::Transform {
 public:
  Threshold() { alpha = register_parameter("alpha", Tensor::full({1}, 0.5)); }
  std::string kind() const override { return "Threshold"; }
  Variable apply(const Variable& src) override { return ops::pact(src, alpha); }
  Variable alpha;
};

TEST(Trainer, ParametersAddedLaterAreTrained) {
  const auto linear = std::make_shared<nn::Linear>(3072, 4);
  Trainer trainer(std::make_shared<nn::Sequential>(
      std::vector<std::shared_ptr<nn::Module>>{std::make_shared<nn::Flatten>(), linear}));
  trainer.prepare(kSettings);
  const auto threshold = std::make_shared<Threshold>();
  linear->set_slot("input_transform", threshold);
  trainer.fit(toy_set(), toy_options(1));
  EXPECT_NE(threshold->alpha.value().item(), 0.5);
}

TEST(Trainer, ZeroEpochsChangeNothing) {
  const TempFolder folder;
  FitOptions options = toy_options(0);
  options.checkpoint_path = folder / "c";
  Recorder recorder;
  EXPECT_EQ(crc_of_fit(options, &recorder), state_crc(toy_net()->state()));
  EXPECT_TRUE(recorder.begun == 1 && recorder.ended == 1 && recorder.steps.empty());
  EXPECT_FALSE(fs::exists(options.checkpoint_path));
}

TEST(Trainer, OptionsThatCannotBe) {
  EXPECT_ERROR(Trainer(nullptr), "the model is null");
  FitOptions options = toy_options();
  options.loader.batch_size = 0;
  EXPECT_ERROR(crc_of_fit(options), "batch size 0 must be at least 1");
  EXPECT_ERROR(crc_of_fit(toy_options(-1)), "epochs -1");
  options = toy_options();
  options.checkpoint_every = 5;
  EXPECT_ERROR(crc_of_fit(options), "need a checkpoint_path");
  options.checkpoint_every = -1;
  EXPECT_ERROR(crc_of_fit(options), "checkpoint_every -1");
  options.checkpoint_every = 0, options.resume = true;
  EXPECT_ERROR(crc_of_fit(options), "need a checkpoint_path");
  Trainer trainer(toy_net());
  trainer.prepare({{-1, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
  EXPECT_ERROR(trainer.fit(toy_set(), toy_options()), "learning rate -1");
  EXPECT_ERROR(trainer.evaluate(toy_set(), 0), "batch size 0");
  EXPECT_ERROR(Trainer(toy_net()).fit(data::Dataset(), toy_options()), "no pictures");
}

TEST(Trainer, ALabelOutOfRangeIsOneLine) {
  data::Dataset set = toy_pictures(8, 1);
  set.labels.data<std::int32_t>()[5] = 4;
  EXPECT_ERROR(Trainer(toy_net()).fit(set, toy_options()), "label");
  EXPECT_ERROR(Trainer(toy_net()).evaluate(set), "label");
}

TEST(Trainer, NanLossEndsTheFitAndKeepsTheCheckpoint) {
  const TempFolder folder;
  FitOptions options = toy_options(3);
  options.checkpoint_every = 1;
  options.checkpoint_path = folder / "c";
  struct Poison : Callback {
    nn::Module* model;
    std::string path, kept;
    bool weight = false;  // else a running statistic's neighbour: the bias of the last layer
    void on_step(const Progress& p) override {
      if (p.step != 4) return;
      kept = read_file(path);
      model->parameters().back().value().fill(std::nan(""));
    }
  } poison;
  Trainer trainer(toy_net());
  trainer.prepare(kSettings);
  poison.model = &trainer.model();
  poison.path = options.checkpoint_path;
  EXPECT_ERROR(trainer.fit(toy_set(), options, &poison), "'5.bias' is not finite after step 4 ---> HINT lower --lr");
  EXPECT_EQ(read_file(options.checkpoint_path), poison.kept);
  options.resume = true;
  options.tag = "";
  EXPECT_EQ(crc_of_fit(options), crc_of_fit(toy_options(3)));

  options = toy_options(1);
  options.checkpoint_path = folder / "d";  // only at the epoch's end: the loss is what tells
  poison.path = folder / "c";
  EXPECT_ERROR(trainer.fit(toy_set(), options), "the loss is nan at epoch 1, step 1");
  EXPECT_FALSE(fs::exists(folder / "d"));
}

TEST(Trainer, AWildRateEndsInOneLine) {
  Trainer trainer(toy_net());
  trainer.prepare({{1e30, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
  EXPECT_ERROR(trainer.fit(toy_set(), toy_options()), "lower --lr");
}

TEST(Trainer, EvaluateScoresAnyPredictor) {
  const data::Dataset set = toy_pictures(50, 3);
  std::int64_t at = 0;
  std::vector<std::int64_t> sizes;
  // Right for even pictures, second best for odd ones.
  const optim::PredictFn predict = [&](const Tensor& images) {
    sizes.push_back(images.shape()[0]);
    EXPECT_FALSE(grad_enabled());
    EXPECT_EQ(static_cast<float>(images.at(0)),
              (static_cast<float>(set.pictures.at(at * data::kPictureBytes)) - 127.5f) / 127.5f);
    Tensor logits = Tensor::zeros({images.shape()[0], 10});
    for (std::int64_t i = 0; i < images.shape()[0]; ++i, ++at) {
      const std::int64_t label = set.labels.data<std::int32_t>()[at];
      logits.data<float>()[i * 10 + label] = 2;
      if (at % 2) logits.data<float>()[i * 10 + 9] = 3;
    }
    return logits;
  };
  Recorder recorder;
  const optim::Scores scores = optim::evaluate(predict, set, 16, &recorder);
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{16, 16, 16, 2}));
  EXPECT_EQ(recorder.evaluated, (std::vector<std::int64_t>{16, 32, 48, 50}));
  EXPECT_EQ(scores.pictures, 50);
  EXPECT_EQ(scores.top1(), 0.5);
  EXPECT_EQ(scores.top5(), 1);
  const double even = -2 + std::log(std::exp(2.0) + 9), odd = -2 + std::log(std::exp(2.0) + std::exp(3.0) + 8);
  EXPECT_NEAR(scores.loss(), (even + odd) / 2, 1e-5);
  EXPECT_EQ(optim::evaluate(predict, set.first(0)).pictures, 0);
  EXPECT_ERROR(optim::evaluate([](const Tensor&) { return Tensor::zeros({3, 10}); }, set), "");
}

TEST(Trainer, EvaluateIsTheSameForAnyBatchSize) {
  Trainer trainer(toy_net());
  const optim::Scores all = trainer.evaluate(toy_set(), 256), few = trainer.evaluate(toy_set(), 7);
  EXPECT_EQ(all.top1_hits, few.top1_hits);
  EXPECT_NEAR(all.loss(), few.loss(), 1e-6);
  EXPECT_FALSE(trainer.model().is_training());
  const Tensor images = data::normalise(toy_set().pictures);
  EXPECT_TRUE(same_bits(trainer.predict(images).slice(10, 20).clone(), trainer.predict(images.slice(10, 20))));
}

}  // namespace
}  // namespace octet::test
