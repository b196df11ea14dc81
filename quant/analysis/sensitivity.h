// Which layer breaks? Scores of a prepared net with one layer quantized and the others not, and the other way round.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "optim/trainer.h"

namespace octet::quant {

struct LayerSensitivity {
  std::string layer;      ///< path of the module
  optim::Scores alone;    ///< it is quantized, nothing else is
  optim::Scores all_but;  ///< everything is quantized except it
};

struct Sensitivity {
  optim::Scores floats;                  ///< nothing is quantized
  optim::Scores quantized;               ///< everything is
  std::vector<LayerSensitivity> layers;  ///< in the order of the net's modules
};

/// Evaluations done, of how many.
using SensitivityProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Scores `model`, prepared and with data seen, on `dataset` 2 + 2·layers times; layers as in quantized_layers().
/// Throws Error as that does.
Sensitivity sensitivity(nn::Module& model, const data::Dataset& dataset, std::int64_t batch_size,
                        const SensitivityProgress& progress = {});

}  // namespace octet::quant
