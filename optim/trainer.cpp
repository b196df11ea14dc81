#include "optim/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "ops/ops.h"
#include "optim/checkpoint.h"

namespace octet::optim {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void Scores::add(const Tensor& logits, const Tensor& labels, double mean_loss) {
  const std::int64_t count = labels.numel();
  pictures += count;
  loss_sum += mean_loss * static_cast<double>(count);
  top1_hits += ops::count_top_k(logits, labels, 1);
  top5_hits += ops::count_top_k(logits, labels, 5);
}

double FitResult::median_step_ms() const {
  if (step_ms.empty()) return 0;
  std::vector<double> sorted = step_ms;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
  return sorted[sorted.size() / 2];
}

Scores evaluate(const PredictFn& predict, const data::Dataset& dataset, std::int64_t batch_size, Callback* callback) {
  OCTET_CHECK(batch_size >= 1, "evaluate", "batch size {} must be at least 1", batch_size);
  NoGrad no_grad;
  Scores scores;
  for (std::int64_t begin = 0; begin < dataset.size(); begin += batch_size) {
    const std::int64_t end = std::min(dataset.size(), begin + batch_size);
    const Tensor logits = predict(data::normalise(dataset.pictures.slice(begin, end)));
    const Tensor labels = dataset.labels.slice(begin, end);
    const double loss = ops::softmax_cross_entropy(Variable(logits), labels).value().item();
    scores.add(logits, labels, loss);
    if (callback) callback->on_evaluate(end, dataset.size(), scores);
  }
  return scores;
}

Trainer::Trainer(std::shared_ptr<nn::Module> model) : model_(std::move(model)) {
  OCTET_CHECK(model_ != nullptr, "trainer", "the model is null");
}

Tensor Trainer::predict(const Tensor& images) {
  NoGrad no_grad;
  model_->eval();
  return (*model_)(Variable(images)).value();
}

Scores Trainer::evaluate(const data::Dataset& dataset, std::int64_t batch_size, Callback* callback) {
  return optim::evaluate([this](const Tensor& images) { return predict(images); }, dataset, batch_size, callback);
}

void Trainer::train_step(Momentum& optimizer, const data::Batch& batch, Progress& progress) {
  const Variable logits = (*model_)(Variable(batch.images));
  const Variable loss = ops::softmax_cross_entropy(logits, batch.labels, settings_.label_smoothing);
  progress.batch_loss = loss.value().item();
  OCTET_CHECK(std::isfinite(progress.batch_loss), "fit", "the loss is {} at epoch {}, step {} ---> HINT lower --lr; the last checkpoint is intact",
              progress.batch_loss, progress.epoch + 1, progress.step + 1);
  loss.backward();
  optimizer.step();
  optimizer.zero_grad();
  progress.scores.add(logits.value(), batch.labels, progress.batch_loss);
}

FitResult Trainer::fit(const data::Dataset& dataset, const FitOptions& options, Callback* callback) {
  OCTET_CHECK(options.epochs >= 0, "fit", "epochs {} must not be negative", options.epochs);
  OCTET_CHECK(options.checkpoint_every == 0 || !options.checkpoint_path.empty(), "fit", "checkpoint_every needs a checkpoint_path");
  data::Loader loader(dataset, options.loader);
  Momentum optimizer(model_->named_parameters(), settings_.optimizer);
  const Schedule schedule{settings_.schedule, settings_.optimizer.lr};
  Progress progress;
  progress.epochs = options.epochs;
  progress.batches = loader.batches_per_epoch();
  if (options.resume && std::filesystem::exists(options.checkpoint_path)) {
    const Position at = load_checkpoint(options.checkpoint_path, options.tag, *model_, optimizer);
    progress.epoch = at.epoch, progress.batch = at.batch, progress.step = at.step, progress.scores = at.scores;
  }
  const auto checkpoint = [&] {
    save_checkpoint(options.checkpoint_path, options.tag, *model_, optimizer, {progress.epoch, progress.batch, progress.step, progress.scores});
  };

  FitResult result;
  const auto start = Clock::now();
  if (callback) callback->on_fit_begin(progress);
  while (progress.epoch < options.epochs) {
    model_->train();
    loader.start(options.first_epoch + static_cast<std::uint64_t>(progress.epoch), progress.batch);
    for (data::Batch batch; loader.next(batch);) {
      const auto step_start = Clock::now();
      progress.lr = schedule.at(progress.step, progress.batches * options.epochs);
      optimizer.set_lr(progress.lr);
      train_step(optimizer, batch, progress);
      ++progress.batch, ++progress.step;
      progress.step_ms = seconds_since(step_start) * 1e3;
      result.step_ms.push_back(progress.step_ms);
      if (callback) callback->on_step(progress);
      const bool last_of_epoch = progress.batch == progress.batches;
      if (options.checkpoint_every > 0 && progress.step % options.checkpoint_every == 0 && !last_of_epoch) checkpoint();
    }
    if (callback) callback->on_epoch_end(progress);
    result.epochs.push_back(progress.scores);
    ++progress.epoch;
    progress.batch = 0;
    progress.scores = {};
    if (!options.checkpoint_path.empty()) checkpoint();
  }
  result.seconds = seconds_since(start);
  if (callback) callback->on_fit_end(progress);
  return result;
}

}  // namespace octet::optim
