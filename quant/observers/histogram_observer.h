// Observers that choose a threshold from a histogram of the values: a percentile, least divergence, least squared error.
#pragma once
#include <string>

#include "kernels/histogram/histogram.h"
#include "quant/observers/observer.h"

namespace octet::quant {

/// What is looked for in a histogram (kernels/histogram/histogram.h).
struct HistogramSearch {
  kernels::HistogramRule rule = kernels::HistogramRule::mse;
  int sides = 1;          ///< 2: for affine grids; not with kl
  std::int32_t hi = 127;  ///< largest code; of an affine grid from 0
  double share = 1;       ///< of the values, that a percentile keeps at each end
};

/// The state is a histogram, low and high found in it first; the search follows every tensor. From step to step its counts decay
/// by `rate`: a moving average of histograms, in which 1 / (1 − rate) steps count. While accumulating (calibration) they do
/// not: the histogram is that of all batches.
class HistogramObserver : public Observer {
 public:
  HistogramObserver(const HistogramSearch& search, double rate);
  std::string kind() const override { return "HistogramObserver"; }
  bool wants_values() const override { return true; }
  void observe_values(const Tensor& values, bool starts_step) override;
  void set_accumulating(bool on) override { accumulating_ = on; }

 private:
  HistogramSearch search_;
  double rate_;
  bool accumulating_ = false;
};

/// The threshold of |values| (f32) that `search`, of one side, finds: f32 {1}, where they lie; not finite where they are not.
Tensor histogram_threshold(const Tensor& values, const HistogramSearch& search);

}  // namespace octet::quant
