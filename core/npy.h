// NumPy's .npy files, version 1.0: one tensor, little endian, C order.
#pragma once
#include <string>

#include "core/tensor.h"

namespace octet {

/// f32, f64, s8, u8 or s32; another dtype throws Error. Written atomically.
void write_npy(const std::string& path, const Tensor& tensor);
/// Reads what write_npy and NumPy write for these dtypes; throws Error, naming the file, on anything else.
Tensor read_npy(const std::string& path);

}  // namespace octet
