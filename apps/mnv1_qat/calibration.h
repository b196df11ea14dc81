// An fp32 model made ready for integers without training.
#pragma once
#include "apps/mnv1_qat/pipeline.h"

namespace octet::app {

/// Throws Error when options and model alone forbid calibrate_model(): the quantizers wanted learn by training, or the
/// model is quantized already.
void require_calibratable(const LoadedModel& model, const Options& options);
/// prepare() by options.quant, then calibrate() on options.calibrate training pictures, with a bar; the model's notes
/// say so.
void calibrate_model(LoadedModel& model, const Options& options, const data::Dataset& train, const Console& console);

/// calibrate_model() and convert: ptq.safetensors, int8.safetensors and convert.txt of the folder.
void calibrate_and_convert(LoadedModel& model, const Options& options, const data::Dataset& train,
                           const Console& console, const RunFolder& folder);

/// A model file with quantizers that have seen data: a QAT or PTQ file as it is, an fp32 file after calibrate_model().
/// Quantization options beside a file that has quantizers are refused.
LoadedModel load_quantized(const Options& options, const data::Dataset& train, const Console& console);

}  // namespace octet::app
