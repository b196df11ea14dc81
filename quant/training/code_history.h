// The codes of one layer's weight over the updates of a training: which flip, which oscillate, which are frozen.
#pragma once
#include <cstdint>
#include <string>

#include "nn/module.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

/// A weight oscillates when its code flips against the direction of its flip before; its frequency is the moving
/// average f ← (1 − m)·f + m·[oscillates], m = `momentum` (Nagel et al., "Overcoming oscillations in quantization-aware
/// training", 2022; kernels/oscillation). All state lies where the weight does; a step waits for nothing.
class CodeHistory {
 public:
  /// Of a convolution or linear layer with a fake quantizer that has a weight grid, else Error. The layer must outlive
  /// it. `freezes`: keeps what freezing needs.
  CodeHistory(std::string layer, nn::Module& module, double momentum, bool freezes);

  /// Before an update, where it freezes: remembers the weight, so that step() can undo what the update does to frozen ones
  /// before a step of the grid follows from them.
  void hold();
  /// After an update. Only where it freezes: `threshold` f32 {1} where the weight lies, the frequency above which
  /// weights freeze to their average code (algorithm 1); frozen ones are put back onto it.
  void step(const Tensor& threshold = {});

  const std::string& layer() const { return layer_; }
  nn::Module& module() const { return module_; }
  FakeQuantizer& quantizer() const { return quantizer_; }
  std::int64_t count() const { return code_.numel(); }
  /// These wait for a device. Flips since they were last taken.
  std::int64_t take_flips();
  /// Weights whose frequency is above that.
  std::int64_t oscillating(float frequency) const;
  std::int64_t frozen() const;
  /// Names with the layer's in front, sharing memory.
  nn::Module::NamedTensors state() const;

 private:
  void restore_frozen();
  std::string layer_;
  nn::Module& module_;
  FakeQuantizer& quantizer_;
  float momentum_;
  Tensor code_, direction_, frequency_, flips_;
  Tensor average_, frozen_;  ///< undefined unless it freezes
  Tensor held_;              ///< the weight before the update; undefined without hold()
  Tensor seen_;              ///< s32 of the host: was there a step?
};

/// A history for every layer with a quantized weight that has a grid, in the order of the net.
std::vector<CodeHistory> code_histories(nn::Module& model, double momentum, bool freezes);

}  // namespace octet::quant
