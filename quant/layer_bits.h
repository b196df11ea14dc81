// Mixed precision: bits for layers chosen by name.
#pragma once
#include <string>
#include <vector>

namespace octet::quant {

/// The bits of the modules whose path (nn::Module::named_modules(), such as "blocks.3.pw.conv") matches `layer`, in
/// which '*' stands for any text, dots too. A bit count of 0 leaves what was said before.
struct LayerBits {
  std::string layer;
  int weight_bits = 0;
  int activation_bits = 0;  ///< of the layer's input
  friend bool operator==(const LayerBits&, const LayerBits&) = default;
};

/// Throws Error naming the key unless bits are 2 to 8.
void check_bits(const std::string& key, int bits);

/// Does `path` match a name in which '*' stands for any text?
bool matches(const std::string& pattern, const std::string& path);

/// Bits of one module: `weight_bits` and `activation_bits` of the net unless an entry says otherwise; the last that
/// does counts.
LayerBits bits_of(const std::vector<LayerBits>& entries, const std::string& path, int weight_bits, int activation_bits);

}  // namespace octet::quant
