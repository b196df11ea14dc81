// Pictures as PNG files.
#pragma once
#include <string>

#include "core/tensor.h"

namespace octet::data {

/// u8 H,W,3 as the bytes of a PNG file. Throws Error on other tensors.
std::string encode_png(const Tensor& picture);

}  // namespace octet::data
