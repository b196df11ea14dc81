// One bar over all of a grid's work.
#pragma once
#include <cstdint>
#include <string>

#include "apps/mnv1_qat/report.h"
#include "optim/progress_bar.h"

namespace octet::app {

/// Counts passes of a picture through a net: three for a training step (forward, and backward twice as much), one else.
class GridBar : public optim::Callback {
 public:
  static std::int64_t passes_of_fit(std::int64_t epochs, std::int64_t pictures) { return 3 * epochs * pictures; }

  /// `done` of the `passes` are of earlier processes.
  GridBar(const Console& console, std::int64_t passes, std::int64_t done, std::int64_t batch_size);
  /// A piece of work: fits and evaluations that report here, in all so many passes.
  void begin(const std::string& name, std::int64_t passes);
  void end();
  void finish() { bar_.finish(""); }

  void on_fit_begin(const optim::Progress& progress) override;
  void on_step(const optim::Progress& progress) override;
  void on_fit_end(const optim::Progress& progress) override;
  void on_evaluate(std::int64_t pictures_done, std::int64_t pictures, const optim::Scores& scores) override;

 private:
  std::int64_t passes_until(const optim::Progress& progress) const;
  void show(std::int64_t done, const optim::Scores& scores);
  optim::ProgressBar bar_;
  std::int64_t batch_size_;
  std::int64_t stage_, end_;       ///< passes before this fit or evaluation; when this piece is done
  std::int64_t epoch_passes_ = 0;  ///< of this fit
  std::string name_;
};

}  // namespace octet::app
