// From bytes to what a model reads.
#pragma once
#include <cstdint>

#include "core/tensor.h"
#include "kernels/augment/view.h"

namespace octet::data {

/// One picture u8 32,32,3 to f32: (x − 127.5) / 127.5.
void normalise(const std::uint8_t* pixels, std::int64_t count, float* values);
/// u8 N,H,W,3 → f32 of the same shape.
Tensor normalise(const Tensor& pictures);

/// One picture u8 32,32,3 to f32 as a view shows it: normalised, zeros where it shows nothing.
void show(const std::uint8_t* pixels, kernels::View view, float* values);

}  // namespace octet::data
