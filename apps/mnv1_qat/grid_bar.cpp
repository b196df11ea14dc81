#include "apps/mnv1_qat/grid_bar.h"

#include <fmt/core.h>

#include <algorithm>

namespace octet::app {

GridBar::GridBar(const Console& console, std::int64_t passes, std::int64_t done, std::int64_t batch_size)
    : bar_("compare", passes, "passes", console.bar_style(), done), batch_size_(batch_size), stage_(done), end_(done) {}

void GridBar::begin(const std::string& name, std::int64_t passes) {
  name_ = name, stage_ = end_;
  end_ += passes;
  bar_.update(stage_, name_);
}

void GridBar::end() {
  stage_ = end_;
  bar_.update(end_, name_);
}

void GridBar::on_fit_begin(const optim::Progress& p) {
  epoch_passes_ = passes_of_fit(1, p.batches * batch_size_);
  bar_.skip(passes_until(p));
}

std::int64_t GridBar::passes_until(const optim::Progress& p) const {
  return p.epoch * epoch_passes_ + passes_of_fit(1, p.batch * batch_size_);
}

void GridBar::on_step(const optim::Progress& p) { show(stage_ + passes_until(p), p.scores); }

void GridBar::on_fit_end(const optim::Progress& p) { stage_ = std::min(end_, stage_ + p.epochs * epoch_passes_); }

void GridBar::on_evaluate(std::int64_t done, std::int64_t pictures, const optim::Scores& scores) {
  show(stage_ + done, scores);
  if (done >= pictures) stage_ = std::min(end_, stage_ + pictures);
}

void GridBar::show(std::int64_t done, const optim::Scores& scores) {
  bar_.update(std::min(done, end_), fmt::format("{}: top-1 {:.1f} %", name_, 100 * scores.top1()));
}

}  // namespace octet::app
