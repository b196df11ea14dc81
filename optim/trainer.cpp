#include "optim/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "core/profile.h"
#include "core/stopwatch.h"
#include "ops/ops.h"
#include "optim/checkpoint.h"
#include "optim/device_steps.h"

namespace octet::optim {
namespace {

using Clock = std::chrono::steady_clock;
using profile::Kind;
using profile::Span;

constexpr const char* kLowerRate = "lower --lr; the last checkpoint is intact";

bool all_finite(const Tensor& values) {
  const Tensor here = values.to(Device::cpu);
  const auto all = here.span<float>();
  return std::all_of(all.begin(), all.end(), [](float x) { return std::isfinite(x); });
}

// So that a profile can tell modules by their paths; quantizers may have joined since the last time.
void name_scopes(const nn::Module& model) {
  if (!profile::on()) return;
  for (const auto& [path, module] : model.named_modules()) profile::name_scope(module, path, module->kind());
}

// All parameters, those with a weight decay of their own in groups of their own.
std::vector<Momentum::Group> groups_of(const nn::Module& model, const Trainer::Settings& settings) {
  std::vector<Momentum::Group> groups{{{}, 1, settings.optimizer.weight_decay}};
  std::set<std::string> own;
  for (const auto& entry : model.named_parameters()) {
    const auto decay = settings.weight_decays.find(entry.first);
    if (decay == settings.weight_decays.end()) {
      groups[0].parameters.push_back(entry);
      continue;
    }
    groups.push_back({{entry}, 1, decay->second});
    own.insert(entry.first);
  }
  for (const auto& [name, decay] : settings.weight_decays)
    OCTET_CHECK(own.contains(name), "fit", "there is a weight decay for '{}', which is no parameter of the model",
                name);
  return groups;
}

// One call of Trainer::fit: what it holds, and how far it is.
class Fit {
 public:
  Fit(nn::Module& model, const Trainer::Settings& settings, const data::Dataset& dataset, const FitOptions& options,
      Callback& callback)
      : model_(model),
        settings_(settings),
        options_(checked(options)),
        callback_(callback),
        loader_(dataset, options.loader),
        optimizer_(groups_of(model, settings), settings.optimizer),
        methods_(settings.methods),
        schedule_{settings.schedule, settings.optimizer.lr, settings.warmup_steps} {
    progress_.epochs = options.epochs;
    progress_.batches = loader_.batches_per_epoch();
    if (model.device() == Device::cuda)
      there_ =
          std::make_unique<DeviceSteps>(model, optimizer_, methods_, dataset, options.loader, settings.label_smoothing);
  }
  ~Fit() { methods_.end_fit(); }
  Fit(const Fit&) = delete;

  FitResult run() {
    methods_.begin_fit(progress_.batches * options_.epochs);
    if (options_.resume) resume();
    name_scopes(model_);
    optimizer_.zero_grad();
    start_ = Clock::now();
    callback_.on_fit_begin(progress_);
    while (progress_.epoch < options_.epochs) epoch();
    result_.seconds = seconds_since(start_);
    result_.data_seconds = loader_.busy_seconds() + waited_;
    result_.training_seconds += waited_;
    callback_.on_fit_end(progress_);
    return std::move(result_);
  }

 private:
  static const FitOptions& checked(const FitOptions& options) {
    OCTET_CHECK(options.epochs >= 0, "fit", "epochs {} must not be negative", options.epochs);
    OCTET_CHECK(options.checkpoint_every >= 0, "fit", "checkpoint_every {} must not be negative",
                options.checkpoint_every);
    OCTET_CHECK(options.report_every >= 1, "fit", "report_every {} must be at least 1", options.report_every);
    OCTET_CHECK((options.checkpoint_every == 0 && !options.resume) || !options.checkpoint_path.empty(), "fit",
                "checkpoint_every and resume need a checkpoint_path");
    return options;
  }

  void resume() {
    std::error_code error;  // a file that cannot be looked at is not a missing one: loading it tells why
    if (!std::filesystem::exists(options_.checkpoint_path, error) && !error) return;
    const Position at = load_checkpoint(options_.checkpoint_path, options_.tag, model_, optimizer_, methods_.state());
    OCTET_CHECK(at.epoch <= options_.epochs && at.batch < progress_.batches &&
                    at.step == at.epoch * progress_.batches + at.batch,
                "resume",
                "'{}' stands at epoch {}, batch {}, step {}, which does not fit {} epochs of {} batches ---> HINT "
                "resume with the options it "
                "began with",
                options_.checkpoint_path, at.epoch, at.batch, at.step, options_.epochs, progress_.batches);
    progress_.epoch = at.epoch, progress_.batch = at.batch, progress_.step = at.step, progress_.scores = at.scores;
  }

  void epoch() {
    start_epoch();
    for (data::Batch batch; next(batch);) {
      step(batch);
      if (checkpoint_due()) checkpoint();
    }
    callback_.on_epoch_end(progress_);
    result_.epochs.push_back(progress_.scores);
    ++progress_.epoch;
    progress_.batch = 0;
    progress_.scores = {};
    checkpoint();
  }

  void start_epoch() {
    if (methods_.begin_epoch(progress_.epoch) && there_) there_->forget_recorded();
    const std::uint64_t epoch = options_.first_epoch + static_cast<std::uint64_t>(progress_.epoch);
    if (!there_) return loader_.start(epoch, progress_.batch);
    const auto start = Clock::now();
    there_->start(epoch, progress_.batch, progress_.scores);
    waited_ += seconds_since(start);
  }

  bool last_of_epoch() const { return progress_.batch == progress_.batches; }
  // The epoch's end has a checkpoint of its own.
  bool checkpoint_due() const {
    return options_.checkpoint_every > 0 && progress_.step % options_.checkpoint_every == 0 && !last_of_epoch();
  }

  // On a device the step itself makes its batch.
  bool next(data::Batch& batch) {
    if (there_) return !last_of_epoch();
    const Span span(Kind::phase, "data");
    const auto start = Clock::now();
    const bool more = loader_.next(batch);
    waited_ += seconds_since(start);
    return more;
  }

  Variable loss_of(const Variable& logits, const data::Batch& batch) {
    const Span span(Kind::phase, "loss");
    const Variable loss =
        methods_.loss(ops::softmax_cross_entropy(logits, batch.labels, settings_.label_smoothing), batch, logits);
    progress_.batch_loss = loss.value().item();
    if (!std::isfinite(progress_.batch_loss)) lost(progress_.batch_loss, progress_.step + 1);
    progress_.scores.add(logits.value(), batch.labels, progress_.batch_loss);
    return loss;
  }

  [[noreturn]] void lost(double loss, std::int64_t step) const {
    diverged("fit", fmt::format("the loss is {} at epoch {}, step {}", loss, progress_.epoch + 1, step), kLowerRate);
  }

  Variable forward(const Tensor& images) {
    const Span span(Kind::phase, "forward");
    return model_(Variable(images));
  }

  void update() {
    const Span span(Kind::phase, "optimizer");
    methods_.before_update();
    optimizer_.step();
    methods_.after_update();
    optimizer_.zero_grad();
  }

  void step(const data::Batch& batch) {
    const Span span(Kind::step, "training step");
    const auto start = Clock::now();
    model_.train();  // a callback may have evaluated
    progress_.lr = schedule_.at(progress_.step, progress_.batches * options_.epochs);
    optimizer_.set_lr(progress_.lr);
    methods_.begin_step(progress_.step);
    there_ ? there_->run(progress_.batch) : step_here(batch);
    ++progress_.batch, ++progress_.step;
    there_ ? report_there(start) : took(seconds_since(start), 1);
    const Span report(Kind::phase, "report");
    callback_.on_step(progress_);
  }

  void step_here(const data::Batch& batch) {
    methods_.begin_batch(batch);
    const Variable loss = loss_of(forward(batch.images), batch);
    {
      const Span backward(Kind::phase, "backward");
      loss.backward();
    }
    update();
  }

  void took(double seconds, std::int64_t steps) {
    progress_.step_ms = seconds * 1e3 / static_cast<double>(steps);
    result_.step_ms.insert(result_.step_ms.end(), static_cast<std::size_t>(steps), progress_.step_ms);
    result_.training_seconds += seconds;
  }

  // The host's clock tells something about steps when it has waited for them: from the first one's `start` on.
  void report_there(Clock::time_point start) {
    if (unreported_++ == 0) unreported_since_ = start;
    const bool due =
        result_.step_ms.empty() || progress_.step % options_.report_every == 0 || last_of_epoch() || checkpoint_due();
    if (!due) return;
    const Span span(Kind::phase, "report");
    const DeviceSteps::Report now = there_->report();
    if (now.lost_batch != 0) lost(now.lost_loss, progress_.step - progress_.batch + now.lost_batch);
    progress_.scores = now.scores, progress_.batch_loss = now.batch_loss;
    took(seconds_since(unreported_since_), std::exchange(unreported_, 0));
  }

  // A good checkpoint is never replaced by one whose next loss must be NaN.
  void checkpoint() {
    for (const auto& [name, parameter] : model_.named_parameters())
      if (!all_finite(parameter.value()))
        diverged("fit", fmt::format("'{}' is not finite after step {}", name, progress_.step), kLowerRate);
    if (options_.checkpoint_path.empty()) return;
    const Span span(Kind::phase, "checkpoint");
    save_checkpoint(options_.checkpoint_path, options_.tag, model_, optimizer_,
                    {progress_.epoch, progress_.batch, progress_.step, progress_.scores}, methods_.state());
    result_.seconds = seconds_since(start_);
    callback_.on_checkpoint(progress_, result_);
  }

  nn::Module& model_;
  const Trainer::Settings& settings_;
  const FitOptions& options_;
  Callback& callback_;
  data::Loader loader_;
  Momentum optimizer_;
  Methods methods_;
  Schedule schedule_;
  Progress progress_;
  FitResult result_;
  std::unique_ptr<DeviceSteps> there_;  // on a device
  std::int64_t unreported_ = 0;         // steps begun there since the last report
  Clock::time_point start_, unreported_since_;
  double waited_ = 0;  // seconds, for batches
};

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
    const Span step(Kind::step, "evaluation");
    const Tensor images = [&] {
      const Span span(Kind::phase, "data");
      return data::normalise(dataset.pictures.slice(begin, end));
    }();
    const Tensor logits = [&] {
      const Span span(Kind::phase, "forward");
      return predict(images);
    }();
    const Span span(Kind::phase, "loss");
    const Tensor here = dataset.labels.slice(begin, end);
    ops::require_labels(here, logits.shape()[1], "evaluate");
    const Tensor labels = here.to(logits.device());
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
  name_scopes(*model_);
  model_->eval();
  return (*model_)(Variable(images.to(model_->device()))).value();
}

Scores Trainer::evaluate(const data::Dataset& dataset, std::int64_t batch_size, Callback* callback) {
  return optim::evaluate([this](const Tensor& images) { return predict(images); }, dataset, batch_size, callback);
}

FitResult Trainer::fit(const data::Dataset& dataset, const FitOptions& options, Callback* callback) {
  Callback nobody;
  return Fit(*model_, settings_, dataset, options, callback ? *callback : nobody).run();
}

}  // namespace octet::optim
