// Channels of a value as small pictures.
#pragma once
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace octet::app {

/// The `count` channels of an f32 1,H,W,C value with the largest sum of squares, largest first.
std::vector<std::int64_t> strongest_channels(const Tensor& value, std::int64_t count);

/// The chosen channels of an f32 1,H,W,C value as tiles of one u8 picture, `across` in a row, a pixel of frame between
/// them. Colours: black to yellow from 0 to `top`, black to blue from 0 to −top; beyond it they stay.
Tensor mosaic(const Tensor& value, const std::vector<std::int64_t>& channels, std::int64_t across, double top);

}  // namespace octet::app
