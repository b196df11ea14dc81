#include "quant/layer_bits.h"

#include "core/error.h"

namespace octet::quant {

void check_bits(const std::string& key, int bits) {
  OCTET_CHECK(bits >= 2 && bits <= 8, "quant_config", "{} is {}, it must be 2 to 8", key, bits);
}

// Greedy with one way back, to the last star: linear in the path for each star.
bool matches(const std::string& pattern, const std::string& path) {
  std::size_t at = 0, from = 0, star = std::string::npos, resume = 0;
  while (from < path.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++, resume = from;
    } else if (at < pattern.size() && pattern[at] == path[from]) {
      ++at, ++from;
    } else if (star != std::string::npos) {
      at = star + 1, from = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

LayerBits bits_of(const std::vector<LayerBits>& entries, const std::string& path, int weight_bits,
                  int activation_bits) {
  LayerBits bits{path, weight_bits, activation_bits};
  for (const LayerBits& entry : entries) {
    if (!matches(entry.layer, path)) continue;
    if (entry.weight_bits != 0) bits.weight_bits = entry.weight_bits;
    if (entry.activation_bits != 0) bits.activation_bits = entry.activation_bits;
  }
  return bits;
}

}  // namespace octet::quant
