// The stages of the tutorial, in order, over one folder of results.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/mnv1_qat/load_data.h"
#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/report.h"
#include "apps/mnv1_qat/run_folder.h"
#include "quant/qat.h"
#include "quant/training/training_setup.h"

namespace octet::app {

class Pipeline {
 public:
  /// What several pipelines of one process share.
  struct Shared {
    const data::Split* split = nullptr;  ///< null: load what the options name
    optim::Callback* watcher = nullptr;  ///< told of fits and evaluations; may be null
  };
  /// Makes the folder, loads the data. Throws Error when the folder holds an unfinished run and --resume was not given.
  explicit Pipeline(const Options& options) : Pipeline(options, {}) {}
  Pipeline(const Options& options, const Shared& shared);

  /// Pre-trains, or takes what a resumed run has finished; writes fp32.safetensors.
  void pretrain();
  /// Takes what was pre-trained before, from `file`, instead.
  void take_pretrained(const LoadedModel& loaded, const std::string& file);
  void evaluate_fp32();
  /// Quantizes and fine-tunes; writes qat.safetensors.
  void fine_tune();
  void evaluate_qat();
  /// Converts and writes int8.safetensors, loads it back and scores the engine on it.
  void come_back();
  void export_and_run();
  /// Simulator against engine, every layer, and nn's evaluation against the simulator, on the whole test set.
  void compare();
  void show_predictions() const;
  /// summary.json; nothing is left to resume.
  void close();
  const Summary& summary() const { return summary_; }
  /// close(), and the table (or the JSON on stdout).
  void finish();
  /// Nothing is left to resume.
  void remove_checkpoints() const;
  /// The fp32 line alone, where the work ends with pre-training.
  void finish_pretrain() const;

 private:
  std::string path(const std::string& file) const { return folder_.path(file); }
  bool keeps_earlier_stages() const;
  /// What a stage adds to a plain fit.
  struct Additions {
    class TraceWriter* trace = nullptr;  ///< may be null
    quant::TrainingSetup setup;
    std::function<void()> before_saving;  ///< may be empty
  };
  void fit(const Stage& stage, StageTime& time, const Additions& additions);
  void reestimate_statistics();
  double total_seconds() const;
  void keep_timing(StageTime& time, const StageTime& before, const optim::FitResult& so_far);
  optim::Scores evaluate(const std::string& stage, const optim::PredictFn& predict, double* images_per_second);

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  Console console_;
  RunFolder folder_;
  std::unique_ptr<Metrics> metrics_;
  data::Split split_;
  optim::Callback* watcher_;
  ModelNotes notes_;
  std::unique_ptr<optim::Trainer> trainer_;
  std::shared_ptr<nn::Module> net_;
  std::string floats_;  ///< the file of the pre-trained net
  quant::Qat qat_;
  Summary summary_;
  Timing timing_;
  double data_seconds_ = 0, training_seconds_ = 0;
  double earlier_seconds_ = 0;  ///< of the processes before this one
  std::vector<std::string> checkpoints_;
};

/// Options that decide the bits of a training.
nlohmann::ordered_json training_json(const Options& options);
/// Options that decide the bits of the pre-trained weights, as text.
std::string pretrain_tag(const Options& options, const data::Dataset& train);

}  // namespace octet::app
