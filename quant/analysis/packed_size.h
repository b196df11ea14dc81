// How small a net could be stored.
#pragma once
#include <cstdint>

#include "nn/module.h"

namespace octet::quant {

/// Bytes of a prepared model, which has seen data, where each weight takes only the bits of its grid (rounded up to
/// bytes layer by layer); a scale and a bias of four bytes for each output channel, and four bytes for each weight
/// without a quantizer. Files of the engine store a byte for each weight of any grid.
std::uint64_t packed_bytes(const nn::Module& model);

}  // namespace octet::quant
