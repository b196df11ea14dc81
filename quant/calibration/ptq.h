// Post-training quantization: activation ranges from a few pictures, no weight trained.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/shape.h"
#include "nn/module.h"
#include "quant/calibration/calibration_pictures.h"
#include "quant/config.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

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
/// The stage ("calibrate", "adaround", "correct biases"), and how much of how much of it is done.
using PtqProgress = std::function<void(const std::string& stage, std::int64_t done, std::int64_t total)>;

/// All of it: prepare(), calibrate(), and then adaround() and correct_biases() as the configuration wants. The model can be converted
/// afterwards. Throws Error as these do.
void ptq(nn::Module& model, const Shape& shape, const QuantConfig& config, const data::Dataset& dataset,
         const CalibrateOptions& options = {}, const PtqProgress& progress = {});

/// Throws Error, with a hint, when the configuration learns its thresholds or steps by gradients: PACT and lsq.
void require_calibratable(const QuantConfig& config);

}  // namespace octet::quant
