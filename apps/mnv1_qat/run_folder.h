// The folder of a run: its lock, the files of its stages, which of them are finished, and how long they took.
#pragma once
#include <cstdint>
#include <string>

namespace octet::app {

/// One training of a run and its files.
struct Stage {
  std::string name, model_file, checkpoint;
  std::int64_t epochs = 0;
  std::uint64_t first_epoch = 0;  ///< of the loader's random numbers
  std::string tag;                ///< the options that decide its bits, as JSON
};

/// Over all processes that worked on a stage.
struct StageTime {
  double seconds = 0, step_ms = 0;
};
struct Timing {
  StageTime pretrain, qat;
  double total_seconds = 0;
};

/// What two JSON objects differ in, "lr was 0.1, is 0.2": what a user has to mend to go on.
std::string differences(const std::string& before, const std::string& now);

class RunFolder {
 public:
  /// Makes the folder and locks it until the object or the process ends. Throws Error when it cannot be made, or another process
  /// works in it.
  explicit RunFolder(const std::string& dir);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;

  std::string path(const std::string& file) const;
  bool has(const std::string& file) const;
  void remove(const std::string& file) const;

  /// Throws Error when a checkpoint tells of an interrupted run.
  void require_no_unfinished_run() const;
  /// Does the stage's model stand here, made with the same options? Throws Error when the stage's checkpoint, or without one its
  /// model, was made with other options, naming those.
  bool is_finished(const Stage& stage) const;
  /// Removes the files that a new model of this stage puts out of date.
  void remove_results_after(const Stage& stage) const;

  /// timing.json; zeros when there is none.
  Timing timing() const;
  void keep(const Timing& timing) const;

 private:
  std::string dir_;
  int lock_ = -1;
};

}  // namespace octet::app
