// Weights that oscillate between two codes are frozen to the one that they are at most often (Nagel et al., "Overcoming
// oscillations in quantization-aware training", 2022).
#pragma once
#include <vector>

#include "optim/method.h"
#include "quant/training/code_history.h"

namespace octet::quant {

struct FreezingOptions {
  double threshold = 0.02;      ///< oscillation frequency above which a weight freezes
  double threshold_end = 0.02;  ///< to which the threshold goes by a cosine over the fit
  double momentum = 0.01;       ///< of frequency and average code
};

/// Behind every update, the code of each weight joins its history; one whose frequency is above the threshold freezes
/// to its average code, rounded. From then on it is that code times the step of the moment, in whatever units the step
/// may go on learning: neither its gradient nor its momentum moves it, nor, where the step follows from the largest weight,
/// the step through it. Weights never thaw within a fit.
class OscillationFreezing : public optim::Method {
 public:
  /// The model must outlive it. Throws Error when it has no quantized weights.
  OscillationFreezing(nn::Module& model, const FreezingOptions& options);
  void begin_fit(std::int64_t steps) override;
  void begin_step(std::int64_t step) override;
  void after_update() override;
  void end_fit() override;
  nn::Module::NamedTensors state() const override;

  /// The threshold in step `step` of `steps`.
  static double threshold_at(const FreezingOptions& options, std::int64_t step, std::int64_t steps);
  /// Share of a layer's weights that are frozen; 0 for a layer that is unknown. These wait for a device.
  double frozen(const std::string& layer) const;
  /// Of all weights.
  double frozen() const;

 private:
  FreezingOptions options_;
  std::vector<CodeHistory> histories_;
  std::vector<bool> read_parameters_;  ///< the quantizers' switch before the fit; empty outside of one
  std::int64_t steps_ = 0;
  Tensor threshold_;  ///< f32 {1}, where the model lies
  double brought_ = -1;
};

}  // namespace octet::quant
