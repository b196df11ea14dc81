// The tutorial's lines: quantize, fine-tune with any Trainer, save.
#pragma once
#include <string>

#include "quant/deployment/convert.h"
#include "quant/prepare.h"

namespace octet::quant {

/// Throws Error, with a hint, when the configuration asks for what only nets without fine-tuning get: bias_correction, adaround_steps.
void require_trainable(const QuantConfig& config);

/// quant::Qat qat(config);  qat.quantize(net);  …fine-tune…;  qat.save_quantized_model(net, "int8.safetensors");
class Qat {
 public:
  /// Throws Error as check() and require_trainable() do.
  explicit Qat(QuantConfig config = {});
  const QuantConfig& config() const { return config_; }
  /// prepare() in place. `shape`: pictures as the net takes them, pictures extent first.
  void quantize(nn::Module& net, const Shape& shape = {1, 32, 32, 3});
  /// The integer graph of the fine-tuned net, on the shape that quantize() was given.
  engine::Graph convert(nn::Module& net, ConvertReport* report = nullptr) const;
  /// convert() and write the int8 file, which the engine runs.
  void save_quantized_model(nn::Module& net, const std::string& path) const;

 private:
  QuantConfig config_;
  Shape shape_{1, 32, 32, 3};
};

}  // namespace octet::quant
