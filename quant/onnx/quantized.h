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

/// Codes, and the f32 tensor that their DQ makes of them.
struct QuantizedValue {
  std::string codes, values;
};

class QuantizedParts {
 public:
  QuantizedParts(ModelBuilder& model, const OnnxProfile& profile, std::vector<std::string>& notes)
      : model_(model), profile_(profile), notes_(notes) {}

  /// Q and DQ behind the f32 tensor `floats` that `node` has computed, with the node's bounds.
  QuantizedValue quantize(const engine::GraphNode& node, const std::string& floats);
  /// The contract's sum of codes, op by op: q'_a·fl(s_a / s) + q'_b·fl(s_b / s) in floats, rounded as steps of one. An Add between
  /// Q and DQ would become ONNX Runtime's QLinearAdd, which multiplies and adds in one rounding, and so is some codes off.
  QuantizedValue sum(const engine::GraphNode& node, const std::vector<const engine::GraphNode*>& inputs,
                     const std::vector<std::string>& codes);
  /// DQ of s8 codes whose axis 0 is the output channel.
  std::string weight(const engine::GraphNode& node, const std::vector<std::int64_t>& shape,
                     const std::vector<std::int8_t>& codes);
  /// The bias of a layer reading codes of step s_x; empty when there is none.
  std::string bias(const engine::GraphNode& node, float s_x);

 private:
  std::string clip_floats(const engine::GraphNode& node, const std::string& floats, std::int32_t lo, std::int32_t hi);
  std::int32_t shift_of(const QuantParams& grid) const { return profile_.is_unsigned && grid.lo < 0 ? 128 : 0; }
  std::string bounded_codes(const engine::GraphNode& node, std::string codes);
  std::string bounded_floats(const engine::GraphNode& node, const std::string& floats);

  ModelBuilder& model_;
  OnnxProfile profile_;
  std::vector<std::string>& notes_;
};

}  // namespace octet::quant
