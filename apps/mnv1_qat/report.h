// What a run tells: progress on the terminal, metrics.jsonl while running, summary.json and a table at the end.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/mnv1_qat/options.h"
#include "optim/progress_bar.h"
#include "optim/trainer.h"

namespace octet::app {

/// The figures of a run; summary.json has them under these names.
struct Summary {
  std::string data, scheme;
  std::uint64_t seed = 0;
  int threads = 0;
  optim::Scores fp32, qat, int8;
  std::int64_t code_mismatches = 0;
  double class_agreement = 0, logit_max_abs_diff = 0;
  std::uint64_t fp32_bytes = 0, int8_bytes = 0, peak_rss_bytes = 0;
  std::int64_t parameters = 0;
  double pretrain_seconds = 0, qat_seconds = 0, total_seconds = 0, fp32_step_ms = 0, qat_step_ms = 0;
  double int8_images_per_second = 0, fp32_images_per_second = 0;
  double first_step_seconds = 0;  ///< from the start of the process to the end of its first training step
  double data_share = 0;          ///< optim::FitResult::data_share() over both trainings

  std::string json() const;
  std::string table() const;
};

/// DIR/metrics.jsonl: an object a line, appended while the run goes on.
class Metrics {
 public:
  /// A new file, or the old one without a torn last line.
  Metrics(const std::string& dir, bool keep);
  /// Drops lines of `stage` beyond `step`, and of the stages after it: a fit that begins there writes them again.
  void rewind(const std::string& stage, std::int64_t step);
  void write_step(const std::string& stage, const optim::Progress& progress);
  void write_epoch(const std::string& stage, const optim::Progress& progress);
  /// Takes the place of an earlier evaluation of this stage.
  void write_scores(const std::string& stage, const optim::Scores& scores);

 private:
  std::string path_;
};

/// The lines of a file of events (metrics.jsonl) that are what we write: objects with an event and a stage, their step a whole number;
/// none when there is no such file.
std::vector<nlohmann::ordered_json> read_events(const std::string& path);

/// Prints unless --quiet or --json.
class Console {
 public:
  explicit Console(const Options& options);
  void say(const std::string& text) const;
  bool speaks() const { return style_ != optim::BarStyle::silent; }
  optim::BarStyle bar_style() const { return style_; }

 private:
  optim::BarStyle style_;
};

/// Bar and metrics of one fit or evaluation.
class Reporter : public optim::Callback {
 public:
  /// `metrics` is null for an evaluation, which begins at once. `watcher`, who may be null, is told the same.
  Reporter(const Console& console, std::string stage, std::int64_t batch_size, std::int64_t pictures, Metrics* metrics,
           optim::Callback* watcher = nullptr);
  void on_fit_begin(const optim::Progress& progress) override;
  void on_step(const optim::Progress& progress) override;
  void on_epoch_end(const optim::Progress& progress) override;
  void on_fit_end(const optim::Progress& progress) override;
  void on_evaluate(std::int64_t done, std::int64_t pictures, const optim::Scores& scores) override;

 private:
  void start_epoch(const optim::Progress& progress);
  const Console& console_;
  std::string stage_;
  std::int64_t batch_size_, pictures_;
  Metrics* metrics_;
  optim::Callback* watcher_;
  std::unique_ptr<optim::ProgressBar> bar_;
};

/// Indented, with a newline; what is no UTF-8 (file names) is replaced.
std::string json_text(const nlohmann::ordered_json& json);
/// To stdout, at once. Throws Error when it cannot be written.
void print_out(const std::string& text);

std::uint64_t peak_rss_bytes();
/// Since this process was started, to a hundredth of a second.
double process_seconds();

}  // namespace octet::app
