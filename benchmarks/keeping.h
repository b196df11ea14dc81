// Keeps results for what is made of all of them: tables of a whole run, plots, shares.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/report.h"
#include "benchmarks/sheet.h"

namespace octet::bench {

/// Hands everything on to `next`, if there is one; if not, a terminal is shown how far the run is.
class Keeping : public Report {
 public:
  explicit Keeping(Report* next = nullptr) : next_(next) {}
  void begin(const Facts& facts, const Peaks& peaks) override {
    if (next_ != nullptr) next_->begin(facts, peaks);
  }
  void group(const std::vector<Result>& results) override {
    kept_.insert(kept_.end(), results.begin(), results.end());
    next_ != nullptr ? next_->group(results) : show_progress();
  }
  void finish(const std::vector<Share>& shares) override {
    if (next_ != nullptr) next_->finish(shares);
  }
  const std::vector<Result>& results() const { return kept_; }

 private:
  void show_progress() const;
  Report* next_;
  std::vector<Result> kept_;
};

/// --wide: a line per case and dtypes, a column per implementation with its rate.
Sheet wide_sheet(const std::vector<Result>& results, const std::vector<Share>& shares);

}  // namespace octet::bench
