// Running statistics of batch norms around fine-tuning: left alone from an epoch on, or taken anew at the end.
#pragma once
#include <cstdint>
#include <functional>

#include "data/loader.h"
#include "nn/layers.h"
#include "optim/method.h"

namespace octet::quant {

/// From epoch `epoch` of a fit on, batch norms normalise by their running statistics, which stay as they are; γ and β
/// go on learning (Krishnamoorthi 2018, section 3.2.2; Jacob et al. 2018 delay the quantizers instead). Behind the fit
/// they are as before.
class FrozenStatistics : public optim::Method {
 public:
  /// The model must outlive it.
  FrozenStatistics(nn::Module& model, std::int64_t epoch);
  bool begin_epoch(std::int64_t epoch) override;
  void end_fit() override;

 private:
  std::vector<nn::BatchNorm2d*> thawed_;  ///< whose statistics were not frozen by somebody else
  std::int64_t epoch_;
  bool frozen_ = false;
};

struct ReestimateOptions {
  std::int64_t batches = 20;
  data::LoaderOptions loader{};
  /// Of the loader's random numbers: other batches than those of the fits.
  std::uint64_t epoch = 0;
};

/// Replaces the running statistics by those of `batches` training batches (of as many as the set has, if it has fewer):
/// mean and biased variance of all values that each batch norm sees, while the quantized net normalises by the
/// statistics of each batch, as it does in training (Sun et al. 2019, "Hybrid 8-bit floating point training",
/// section 3.3; Nagel et al. 2022). Moving averages follow the last few steps of a training whose weights
/// still move and whose codes may flip; these follow the net as it is. Observers, parameters and mode stay as they are.
/// `progress` is told the batches so far and in all. Throws Error when there are no batch norms, or a statistic is not
/// finite.
void reestimate_statistics(nn::Module& model, const data::Dataset& dataset, const ReestimateOptions& options,
                           const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace octet::quant
