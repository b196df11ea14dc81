#include "quant/onnx/quantized.h"

#include <cmath>
#include <limits>

namespace octet::quant {
namespace {

using engine::GraphNode;
using engine::OpKind;

/// Ops that hand codes on: their results are inside the grid already.
bool hands_on(OpKind op) { return op == OpKind::max_pool || op == OpKind::concat || op == OpKind::flatten; }

}  // namespace

std::optional<float> exact_bias(std::int32_t q, float s) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto nearest = static_cast<float>(static_cast<double>(q) * s);
  for (float b : {nearest, std::nextafter(nearest, infinity), std::nextafter(nearest, -infinity)})
    if (std::isfinite(b) && static_cast<double>(std::rint(b / s)) == q) return b;
  return std::nullopt;
}

std::string QuantizedParts::clip_floats(const GraphNode& node, const std::string& floats, std::int32_t lo,
                                        std::int32_t hi) {
  const QuantParams& grid = node.type.grid;
  const std::string least = model_.floats(node.name + "/min", {}, {grid.dequantize(lo)}),
                    most = model_.floats(node.name + "/max", {}, {grid.dequantize(hi)});
  return model_.node("Clip", {floats, least, most}, node.name + "/clip");
}

std::string QuantizedParts::bounded_floats(const GraphNode& node, const std::string& floats) {
  if (hands_on(node.op)) return floats;
  const QuantParams& grid = node.type.grid;
  const bool computes = node.op != OpKind::quantize;
  if (profile_.is_unsigned) {
    // A picture's or another float's quantizer: nothing has to be fused with what is in front of it.
    const bool is_whole = grid.lo == 0 && grid.hi == 255;
    return computes || is_whole ? floats : clip_floats(node, floats, grid.lo, grid.hi);
  }
  const std::int32_t lo = computes ? node.clamp_lo : grid.lo, hi = computes ? node.clamp_hi : grid.hi;
  if (lo == 0 && hi == 127) return model_.node("Relu", {floats}, node.name + "/relu");
  return lo > -128 || hi < 127 ? clip_floats(node, floats, lo, hi) : floats;
}

std::string QuantizedParts::bounded_codes(const GraphNode& node, std::string codes) {
  const std::int32_t shift = shift_of(node.type.grid), lo = node.clamp_lo + shift, hi = node.clamp_hi + shift;
  const bool computes = node.op != OpKind::quantize && !hands_on(node.op);
  if (!profile_.is_unsigned || !computes || (lo <= 0 && hi >= 255)) return codes;
  const std::string least = model_.byte(node.name + "/least", lo, true),
                    most = model_.byte(node.name + "/most", hi, true);
  return model_.node("Clip", {codes, least, most}, node.name + "/bounded");
}

QuantizedValue QuantizedParts::quantize(const GraphNode& node, const std::string& floats) {
  const QuantParams& grid = node.type.grid;
  OCTET_CHECK(grid.rule == QuantRule::onnx, "onnx", "'{}' rounds half away from zero, which ONNX cannot say",
              node.name);
  OCTET_CHECK(profile_.is_unsigned || (grid.zero_point == 0 && grid.hi <= 127), "onnx",
              "'{}' has codes {}..{} with zero point {}, TensorRT takes s8 with zero point 0", node.name, grid.lo,
              grid.hi, grid.zero_point);
  const std::string scale = model_.floats(node.name + "/scale", {}, {grid.step()});
  const std::string zero =
      model_.byte(node.name + "/zero_point", grid.zero_point + shift_of(grid), profile_.is_unsigned);
  const std::string codes =
      model_.node("QuantizeLinear", {bounded_floats(node, floats), scale, zero}, node.name + "/codes");
  const std::string bounded = bounded_codes(node, codes);
  return {bounded, model_.node("DequantizeLinear", {bounded, scale, zero}, node.name + "/values")};
}

QuantizedValue QuantizedParts::sum(const GraphNode& node, const std::vector<const GraphNode*>& inputs,
                                   const std::vector<std::string>& codes) {
  const QuantParams& grid = node.type.grid;
  std::vector<std::string> products;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const QuantParams& from = inputs[i]->type.grid;
    const std::string name = node.name + "/input" + std::to_string(i);
    const std::string ratio = model_.floats(name + "/ratio", {}, {from.step() / grid.step()});
    const std::string zero = model_.byte(name + "/zero_point", from.zero_point + shift_of(from), true);
    products.push_back(model_.node("DequantizeLinear", {codes[i], ratio, zero}, name));
  }
  const std::string total = model_.node("Sum", products, node.name);
  const std::string one = model_.floats(node.name + "/one", {}, {1.0f}),
                    scale = model_.floats(node.name + "/scale", {}, {grid.step()});
  const std::string zero = model_.byte(node.name + "/zero_point", grid.zero_point + shift_of(grid), true);
  const std::string bounded =
      bounded_codes(node, model_.node("QuantizeLinear", {total, one, zero}, node.name + "/codes"));
  return {bounded, model_.node("DequantizeLinear", {bounded, scale, zero}, node.name + "/values")};
}

std::string QuantizedParts::weight(const GraphNode& node, const std::vector<std::int64_t>& shape,
                                   const std::vector<std::int8_t>& codes) {
  const std::string name = node.name + ".weight", k = model_.bytes(name, shape, codes);
  const std::string scale = model_.floats(name + "/scale", {node.c}, node.weight_step);
  const std::string zero =
      model_.bytes(name + "/zero_point", {node.c}, std::vector<std::int8_t>(node.weight_step.size(), 0));
  const std::string values = model_.node("DequantizeLinear", {k, scale, zero}, name + "/values");
  model_.attribute("axis", 0);
  return values;
}

std::string QuantizedParts::bias(const GraphNode& node, float s_x) {
  if (node.bias.empty()) return "";
  std::vector<float> values, steps;
  std::size_t inexact = 0;
  for (std::size_t c = 0; c < node.bias.size(); ++c) {
    steps.push_back(s_x * node.weight_step[c]);
    const auto exact = exact_bias(node.bias[c], steps[c]);
    inexact += !exact;
    values.push_back(exact.value_or(static_cast<float>(static_cast<double>(node.bias[c]) * steps[c])));
  }
  const std::string name = node.name + ".bias";
  // Behind a layer of f32 values ONNX Runtime takes no float bias back, and leaves the whole layer in floats.
  const bool as_codes = profile_.is_unsigned && (inexact > 0 || !node.type.is_codes);
  if (!as_codes && inexact > 0)
    notes_.push_back(fmt::format("{}: {} of {} biases are no f32 exactly and are rounded to the nearest one", node.name,
                                 inexact, values.size()));
  if (!as_codes) return model_.floats(name, {node.c}, values);
  if (inexact > 0)
    notes_.push_back(fmt::format("{}: {} of {} biases are no f32 exactly; they are written as s32 with their steps",
                                 node.name, inexact, values.size()));
  const std::string codes = model_.ints(name, {node.c}, node.bias),
                    scale = model_.floats(name + "/scale", {node.c}, steps);
  const std::string made = model_.node("DequantizeLinear", {codes, scale}, name + "/values");
  model_.attribute("axis", 0);
  return made;
}

}  // namespace octet::quant
