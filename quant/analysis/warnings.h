// What an experienced eye would say about a quantized net.
#pragma once
#include <string>
#include <vector>

#include "quant/analysis/analysis.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/plan.h"

namespace octet::quant {

/// A sentence each: thresholds of PACT that clip nothing or nearly everything, channels that are dead, depthwise taps
/// that only see padding but set a channel's scale, ranges that have collapsed, grids that are mostly unused, values
/// that are mostly clipped. `report` is of the model's conversion.
std::vector<std::string> warnings_of(const nn::Module& model, const Plan& plan,
                                     const std::vector<LayerAnalysis>& layers, const ConvertReport& report);

}  // namespace octet::quant
