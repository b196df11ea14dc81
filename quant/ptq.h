// Post-training quantization: activation ranges from a few pictures, no weight trained.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "data/dataset.h"
#include "nn/module.h"
#include "quant/config.h"
#include "quant/fake_quantizer.h"

namespace octet::quant {

struct CalibrateOptions {
  std::int64_t pictures = 512;   ///< drawn from the set without repetition; all of a smaller set
  std::int64_t batch_size = 64;  ///< a moving average counts batches, so this weighs
  std::uint64_t seed = 1;        ///< of the draw
};
/// Told the pictures so far and in all.
using CalibrateProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Lets the observers of a prepared model see pictures: floats flow (nothing is rounded), the net is in evaluation
/// mode, so that batch norms use their running statistics and leave them as they are. Afterwards the model is in
/// evaluation mode, quantizes, and can be converted. Throws Error when it is not prepared, options or the set are
/// empty, or a quantizer is one that only training sets (see require_calibratable()).
void calibrate(nn::Module& model, const data::Dataset& dataset, const CalibrateOptions& options = {},
               const CalibrateProgress& progress = {});

/// While one lives, the observers of a prepared model see what flows through it, and nothing is rounded.
class Calibrating {
 public:
  /// Throws Error when the model is not prepared, or a quantizer is one that only training sets.
  explicit Calibrating(nn::Module& model);
  ~Calibrating();
  Calibrating(const Calibrating&) = delete;

 private:
  void set(bool on);
  std::vector<FakeQuantizer*> quantizers_;
};

/// Throws Error, with a hint, when the configuration learns its thresholds or steps by gradients: PACT and lsq.
void require_calibratable(const QuantConfig& config);

}  // namespace octet::quant
