// Trainer: fit and evaluate a model, with callbacks, checkpoints and bit-exact resume.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/diverged.h"
#include "data/loader.h"
#include "nn/module.h"
#include "optim/method.h"
#include "optim/momentum.h"
#include "optim/schedule.h"

namespace octet::optim {

/// Sums over the pictures seen so far.
struct Scores {
  double loss_sum = 0;
  std::int64_t pictures = 0, top1_hits = 0, top5_hits = 0;
  double loss() const { return pictures ? loss_sum / static_cast<double>(pictures) : 0; }
  double top1() const { return pictures ? static_cast<double>(top1_hits) / static_cast<double>(pictures) : 0; }
  double top5() const { return pictures ? static_cast<double>(top5_hits) / static_cast<double>(pictures) : 0; }
  /// Adds a batch: logits f32 N,C, labels s32 N, and its mean loss.
  void add(const Tensor& logits, const Tensor& labels, double mean_loss);
};

/// Where a fit stands after a step. On a device steps run ahead of the host, which asks for loss, scores and times now and then
/// (FitOptions::report_every): between two reports those are of the last one, and `step_ms` is the mean of its steps.
struct Progress {
  std::int64_t epoch = 0, epochs = 0;   ///< epoch counts from 0
  std::int64_t batch = 0, batches = 0;  ///< batches of this epoch done, of how many
  std::int64_t step = 0;                ///< steps done since the fit began
  double lr = 0, batch_loss = 0, step_ms = 0;
  Scores scores;  ///< of this epoch so far
};

struct FitResult {
  std::vector<Scores> epochs;   ///< training scores per epoch run by this process
  std::vector<double> step_ms;  ///< of the steps run by this process
  double seconds = 0;
  /// The processor time of the loader's thread plus the time that steps waited for it; all of the steps' time with that wait.
  /// Of this process; data_share() is their quotient.
  double data_seconds = 0, training_seconds = 0;
  double data_share() const { return training_seconds > 0 ? data_seconds / training_seconds : 0; }
  double median_step_ms() const;
};

/// Told what happens; every function may be left out.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_fit_begin(const Progress&) {}
  virtual void on_step(const Progress&) {}
  virtual void on_epoch_end(const Progress&) {}
  virtual void on_fit_end(const Progress&) {}
  /// Right after a checkpoint has been written; `so_far` is of this process.
  virtual void on_checkpoint(const Progress&, const FitResult& so_far) { (void)so_far; }
  virtual void on_evaluate(std::int64_t pictures_done, std::int64_t pictures, const Scores&) {
    (void)pictures_done, (void)pictures;
  }
};

struct FitOptions {
  std::int64_t epochs = 5;
  data::LoaderOptions loader;
  /// Epoch number of the loader's random numbers for epoch 0 of this fit, so that two fits draw different orders.
  std::uint64_t first_epoch = 0;
  std::int64_t checkpoint_every = 0;  ///< steps; 0 = none. Needs checkpoint_path
  std::string checkpoint_path;        ///< written atomically, also at every epoch's end
  std::string tag;      ///< what this fit is ("pretrain seed 1 …"): a checkpoint of another tag is refused
  bool resume = false;  ///< go on from checkpoint_path when it is there
  /// On a device: steps from one report to the next, those of a fit's first step, of checkpoints and of an epoch's end beside. A
  /// loss that is not finite is seen at a report.
  std::int64_t report_every = 10;
};

using PredictFn = std::function<Tensor(const Tensor& images)>;  ///< f32 N,32,32,3 → logits f32 N,classes

/// Scores a predictor over a whole set, in order, with `batch_size` pictures at a time; fp32 net, simulator and engine alike.
Scores evaluate(const PredictFn& predict, const data::Dataset& dataset, std::int64_t batch_size = 256,
                Callback* callback = nullptr);

class Trainer {
 public:
  /// Works where the model's parameters lie; pictures and labels go there batch by batch.
  explicit Trainer(std::shared_ptr<nn::Module> model);

  struct Settings {
    MomentumOptions optimizer{};
    ScheduleKind schedule = ScheduleKind::constant;
    double label_smoothing = 0;
    std::int64_t warmup_steps = 0;
    std::vector<std::shared_ptr<Method>> methods{};
    /// Of single parameters, by name, instead of the optimizer's.
    std::map<std::string, double> weight_decays{};
  };
  /// Learning settings for the fits that follow.
  void prepare(const Settings& settings) { settings_ = settings; }
  /// Trains with a fresh optimizer over the model's parameters as they are now: thresholds that quantization has added
  /// take part. Throws Diverged when the loss or a parameter is not finite (the last checkpoint stays), Error when a checkpoint
  /// does not fit. A callback may evaluate.
  FitResult fit(const data::Dataset& dataset, const FitOptions& options, Callback* callback = nullptr);
  /// Evaluation mode, no gradients.
  Scores evaluate(const data::Dataset& dataset, std::int64_t batch_size = 256, Callback* callback = nullptr);
  /// Logits of a batch in evaluation mode.
  Tensor predict(const Tensor& images);
  nn::Module& model() { return *model_; }

 private:
  std::shared_ptr<nn::Module> model_;
  Settings settings_;
};

}  // namespace octet::optim
