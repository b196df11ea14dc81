// Bits for layers under a budget, for sensitivity --budget.
#pragma once
#include "apps/mnv1_qat/calibration.h"

namespace octet::app {

/// Measures what each layer's weights cost with each of options.candidates bits, chooses within options.budget, prints
/// the choice, and writes options.bits_file, a configuration for ptq and qat, if that is given. `model` has quantizers
/// that have seen data.
void spend_budget(LoadedModel& model, const data::Dataset& train, const Options& options, const Console& console);

}  // namespace octet::app
