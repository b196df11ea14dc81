// From bytes to what a model reads.
#pragma once
#include <cstdint>

#include "core/tensor.h"
#include "kernels/augment/view.h"

namespace octet::data {

enum class Augment { none, crop_flip };

/// One picture u8 32,32,3 to f32: (x − 127.5) / 127.5.
void normalise(const std::uint8_t* pixels, std::int64_t count, float* values);
/// u8 N,H,W,3 → f32 of the same shape.
Tensor normalise(const Tensor& pictures);

/// How crop-flip shows picture `picture` in epoch `epoch`: shifted by −4 to 4 pixels on either axis, mirrored with probability
/// 1/2. A function of (seed, epoch, picture) alone.
kernels::View crop_flip_view(std::uint64_t seed, std::uint64_t epoch, std::uint64_t picture);
/// Crop-flip of picture `picture` in epoch `epoch`, over a border of zeros (of the normalised range).
void crop_flip(const std::uint8_t* pixels, std::uint64_t seed, std::uint64_t epoch, std::uint64_t picture, float* values);

}  // namespace octet::data
