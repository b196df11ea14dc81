#include "quant/engine/graph.h"

#include <algorithm>
#include <cstdlib>

namespace octet::engine {

const char* name_of(OpKind op) {
  switch (op) {
    case OpKind::input:
      return "input";
    case OpKind::quantize:
      return "quantize";
    case OpKind::dequantize:
      return "dequantize";
    case OpKind::conv2d:
      return "conv2d";
    case OpKind::dwconv2d:
      return "dwconv2d";
    case OpKind::add:
      return "add";
    case OpKind::concat:
      return "concat";
    case OpKind::max_pool:
      return "max_pool";
    case OpKind::avg_pool:
      return "avg_pool";
    case OpKind::flatten:
      return "flatten";
    case OpKind::activation:
      return "activation";
  }
  return "?";
}

bool is_layer(OpKind op) { return op == OpKind::conv2d || op == OpKind::dwconv2d; }

bool is_float_layer(const GraphNode& node) {
  return is_layer(node.op) && node.weight.defined() && node.weight.dtype() == DType::f32;
}

AccumulatorRange accumulator_range(const GraphNode& node, std::int64_t least, std::int64_t most, std::int64_t channel) {
  const std::int64_t inner = node.weight.numel() / node.weight.shape()[0];
  const std::int8_t* row = node.weight.data<std::int8_t>() + channel * inner;
  std::int64_t positive = 0, negative = 0;  // sums of the weights of either sign
  constexpr std::int64_t kBlock = 1 << 16;  // sums that 32 bits hold, for vectors
  for (std::int64_t begin = 0; begin < inner; begin += kBlock) {
    std::int32_t sum = 0, magnitudes = 0;
    for (std::int64_t i = begin; i < std::min(begin + kBlock, inner); ++i) {
      sum += row[i];
      magnitudes += row[i] < 0 ? -row[i] : row[i];
    }
    positive += (magnitudes + sum) / 2;
    negative += (sum - magnitudes) / 2;
  }
  // The extremes of q_x − z_x, met with the sign of each weight; padding adds nothing.
  const std::int64_t bias = node.bias.empty() ? 0 : node.bias[static_cast<std::size_t>(channel)];
  return {positive * least + negative * most + bias, positive * most + negative * least + bias};
}

std::int64_t accumulator_bound(const GraphNode& node, const QuantParams& input_grid, std::int64_t channel) {
  const AccumulatorRange range =
      accumulator_range(node, input_grid.lo - input_grid.zero_point, input_grid.hi - input_grid.zero_point, channel);
  return std::max(std::abs(range.least), std::abs(range.greatest));
}

std::string str(const Graph& graph) {
  std::string text = fmt::format("scheme {}\n", graph.scheme);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    text += fmt::format("{:3} {:10} {:28} {:>3}x{}x{:<5} {}", i, name_of(node.op), node.name, node.h, node.w, node.c,
                        node.type.is_codes ? node.type.grid.str() : std::string("f32"));
    for (int input : node.inputs) text += fmt::format(" {}", input);
    text += '\n';
  }
  return text;
}

}  // namespace octet::engine
