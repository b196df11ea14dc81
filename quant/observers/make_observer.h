// Which observer a configuration asks for.
#pragma once
#include <memory>

#include "quant/config.h"
#include "quant/observers/grid.h"
#include "quant/observers/observer.h"

namespace octet::quant {

/// The observer that config.activation_quantize_type and config.scheme ask for, for this grid; null for lsq, which learns
/// instead.
std::shared_ptr<Observer> make_observer(const QuantConfig& config, const Grid& grid);

}  // namespace octet::quant
