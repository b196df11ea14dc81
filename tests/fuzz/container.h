// Safetensors containers from parts that need not fit each other, so that what lies behind lengths and checksum is
// fuzzed too.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace octet::fuzz {

/// Makes the first eight bytes the length of the header that `bytes` seem to hold (up to the last '}' before any zero
/// byte), and where a checksum is written, makes it the right one. Does nothing to bytes that are too short.
void repair_container(std::string& bytes);

/// A container with a checksum: unlike write_safetensors() in memory, and nothing is checked.
std::string make_container(const NamedTensors& tensors, const Metadata& metadata);

/// A pseudo-random number generator for mutators: small, and the same everywhere.
class Dice {
 public:
  explicit Dice(unsigned seed) : state_(seed * 2654435761u + 1) {}
  /// In [0, sides).
  std::uint32_t roll(std::uint32_t sides);
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[roll(static_cast<std::uint32_t>(from.size()))];
  }

 private:
  std::uint64_t state_;
};

}  // namespace octet::fuzz
