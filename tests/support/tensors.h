// Small helpers on f32 tensors: random values, equality of bits, checksums.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/random.h"
#include "core/tensor.h"

namespace octet::test {

/// Uniform in [lo, hi), a function of the seed.
inline Tensor random_f32(const Shape& shape, std::uint64_t seed, double lo = -1, double hi = 1) {
  Tensor made(shape);
  Random random(seed, Purpose::test);
  for (float& x : made.span<float>()) x = static_cast<float>(random.uniform(lo, hi));
  return made;
}

/// Same dtype, shape and bytes?
inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

/// CRC-32C over names and bytes of a model's state.
inline std::uint32_t state_crc(const std::vector<std::pair<std::string, Tensor>>& state) {
  std::uint32_t crc = 0;
  for (const auto& [name, tensor] : state) {
    crc = crc32c(name.data(), name.size(), crc);
    crc = crc32c(tensor.raw(), tensor.nbytes(), crc);
  }
  return crc;
}

}  // namespace octet::test
