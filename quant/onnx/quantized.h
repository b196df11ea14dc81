// Codes in ONNX: how a scheme's grids, weights and biases become QuantizeLinear and DequantizeLinear (docs/onnx.md).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "quant/engine/graph.h"
#include "quant/onnx/model_builder.h"
#include "quant/onnx/profiles.h"

namespace octet::quant {

/// The f32 nearest to q·s for which rint(fl(b / s)) is q again, which is how ONNX Runtime takes a float bias back into steps of the
/// accumulator; none when no f32 has that property (|q| beyond 2^24).
std::optional<float> exact_bias(std::int32_t q, float s);

class QuantizedParts {
 public:
  QuantizedParts(ModelBuilder& model, const OnnxProfile& profile, std::vector<std::string>& notes) : model_(model), profile_(profile), notes_(notes) {}

  /// Q and DQ behind the f32 tensor `floats` that `node` has computed, with the node's bounds. Returns the dequantized tensor.
  std::string quantize(const engine::GraphNode& node, std::string floats);
  /// DQ of s8 codes whose axis 0 is the output channel.
  std::string weight(const engine::GraphNode& node, const std::vector<std::int64_t>& shape, const std::vector<std::int8_t>& codes);
  /// The bias of a layer reading codes of step s_x; empty when there is none.
  std::string bias(const engine::GraphNode& node, float s_x);

 private:
  std::string clip_floats(const engine::GraphNode& node, const std::string& floats, std::int32_t lo, std::int32_t hi);
  std::string bounded_floats(const engine::GraphNode& node, const std::string& floats);

  ModelBuilder& model_;
  OnnxProfile profile_;
  std::vector<std::string>& notes_;
};

}  // namespace octet::quant
