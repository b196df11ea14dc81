// Fake quantizers of a net turned on and off for a while.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

/// A module with fake quantizers in its slots.
struct QuantizedLayer {
  std::string name;  ///< its path
  nn::Module* module = nullptr;
  std::vector<FakeQuantizer*> quantizers;
};

/// Convolutions and linear layers with their weight's and their input's quantizer, additions and pools with their
/// inputs', in the order of the net's modules. Where several modules read one value, its quantizer belongs to each of
/// them. Throws Error "[where] …" when there are none, or an activation's has seen no data.
std::vector<QuantizedLayer> quantized_layers(const nn::Module& model, const char* where);

/// Switches; when it goes, the quantizers are as they were.
class QuantizerSwitches {
 public:
  explicit QuantizerSwitches(const std::vector<QuantizedLayer>& layers);
  ~QuantizerSwitches();
  QuantizerSwitches(const QuantizerSwitches&) = delete;
  /// All on or off, those of `except` (may be null) the other way.
  void set(bool on, const QuantizedLayer* except = nullptr);

 private:
  std::map<FakeQuantizer*, bool> before_;
};

}  // namespace octet::quant
