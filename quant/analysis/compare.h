// Do two executors agree? Node by node, code by code.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace octet::quant {

struct LayerMismatch {
  std::string name;
  std::int64_t differing = 0;  ///< elements that are not equal bit for bit
  std::int64_t elements = 0;
  double largest = 0;  ///< difference of two elements, in codes or as floats
};
struct CodeMismatches {
  std::vector<LayerMismatch> layers;  ///< every layer, in order
  std::int64_t total() const;
  void add(const CodeMismatches& batch);  ///< sums over batches of the same net
  /// The layers that differ, a line each.
  std::string str() const;
};

/// Values of two executors under the same names (order free). Throws Error when a name is missing on either side or dtype or
/// shape differ.
CodeMismatches code_mismatches(const NamedTensors& simulator, const NamedTensors& engine);

}  // namespace octet::quant
