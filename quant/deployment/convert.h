// From a trained, prepared model to the integer graph that the engine runs.
#pragma once
#include <string>
#include <vector>

#include "core/shape.h"
#include "nn/module.h"
#include "quant/config.h"
#include "quant/engine/graph.h"

namespace octet::quant {

/// What a user should know about a conversion.
struct ConvertReport {
  struct Channel {
    std::string layer;
    std::int64_t channel = 0;
    std::string what;
  };
  std::vector<Channel> channels;  ///< degenerate ones: coarsened steps; scales set by taps that only ever see padding
  /// A line per layer with such channels; empty when there are none.
  std::string str() const;
};

/// Traces, folds and checks (engine::validate). The model must have been prepared with the same config and have seen data.
/// Throws Error with a hint on what the engine cannot run.
engine::Graph convert(nn::Module& model, const Shape& shape, const QuantConfig& config,
                      ConvertReport* report = nullptr);

}  // namespace octet::quant
