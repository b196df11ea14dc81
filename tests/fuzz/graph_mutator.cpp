#include "tests/fuzz/graph_mutator.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "quant/engine/graph_text.h"

namespace octet::fuzz {
namespace {

using engine::Graph;
using engine::GraphNode;
using engine::OpKind;

constexpr std::int64_t kMostElements = 1 << 12;  // of a value or a weight
constexpr std::size_t kMostNodes = 24;

bool is_windowed(const GraphNode& node) {
  return is_layer(node.op) || node.op == OpKind::max_pool || node.op == OpKind::avg_pool;
}
std::int64_t extent(Dice& dice, std::uint32_t most) { return 1 + dice.roll(most); }

float real(Dice& dice) {
  static const std::vector<float> all{
      1e-45f, 1e-38f, 1e-30f, 1e-6f, 0.004f, 0.01f, 0.5f, 1,
      2,      127,    1e6f,   1e30f, 3e38f,  0,     -1,   std::numeric_limits<float>::infinity()};
  return dice.pick(all);
}

int whole(Dice& dice) {
  static const std::vector<int> all{-2147483647, -1000000, -128, -127, -8,  -1,  0,     1,         7,
                                    8,           127,      128,  200,  255, 256, 65536, 2147483647};
  return dice.pick(all);
}

/// `to` filled with what `from` holds, over and over.
Tensor resized(const Tensor& from, const Shape& shape, DType dtype) {
  Tensor to = Tensor::full(shape, 1, dtype);
  if (!from.defined() || from.dtype() != dtype || from.nbytes() == 0) return to;
  for (std::size_t at = 0; at < to.nbytes(); at += from.nbytes())
    std::memcpy(static_cast<char*>(to.raw()) + at, from.raw(), std::min(from.nbytes(), to.nbytes() - at));
  return to;
}

template <class T>
void resize(std::vector<T>& values, std::int64_t count) {
  if (!values.empty()) values.resize(static_cast<std::size_t>(count), values[0]);
}

void repair_window(GraphNode& node, const GraphNode& input) {
  kernels::ConvGeometry& g = node.geometry;
  g.h = input.h, g.w = input.w, g.c = input.c;
  g.k = node.op == OpKind::conv2d ? node.c : g.c;
  if (g.h + 2 * g.pad_h < g.r) g.r = g.h, g.pad_h = 0;
  if (g.w + 2 * g.pad_w < g.s) g.s = g.w, g.pad_w = 0;
  node.h = g.out_h(), node.w = g.out_w(), node.c = g.k;
  if (!is_layer(node.op)) return;
  const Shape shape{g.k, g.r, g.s, node.op == OpKind::dwconv2d ? 1 : g.c};
  if (shape.numel() > kMostElements) return;
  node.weight = resized(node.weight, shape, input.type.is_codes ? DType::s8 : DType::f32);
  if (input.type.is_codes && node.weight_step.empty()) node.weight_step = {0.004f};
  if (!input.type.is_codes)
    node.weight_step.clear(), node.bias.clear(), node.type.is_codes = false, node.rule = QuantRule::onnx;
  resize(node.weight_step, g.k), resize(node.bias, g.k), resize(node.float_bias, g.k);
}

/// The extent and, where an op only hands values on, the type that follow from the inputs.
void repair(Graph& graph, std::size_t at) {
  GraphNode& node = graph.nodes[at];
  if (node.inputs.empty() || node.inputs[0] < 0 || static_cast<std::size_t>(node.inputs[0]) >= at) return;
  const GraphNode& input = graph.nodes[static_cast<std::size_t>(node.inputs[0])];
  if (is_windowed(node)) {
    repair_window(node, input);
  } else if (node.op == OpKind::flatten) {
    node.h = node.w = 1, node.c = input.h * input.w * input.c;
  } else if (node.op != OpKind::concat) {
    node.h = input.h, node.w = input.w, node.c = input.c;
  } else {
    node.h = input.h, node.w = input.w, node.c = 0;
    for (int i : node.inputs)
      node.c += i >= 0 && static_cast<std::size_t>(i) < at ? graph.nodes[static_cast<std::size_t>(i)].c : 0;
  }
  if (node.op == OpKind::concat || node.op == OpKind::flatten || node.op == OpKind::max_pool)
    node.type = input.type, node.clamp_lo = input.type.grid.lo, node.clamp_hi = input.type.grid.hi;
  node.h = std::clamp<std::int64_t>(node.h, 1, kMostElements),
  node.w = std::clamp<std::int64_t>(node.w, 1, kMostElements);
  node.c = std::clamp<std::int64_t>(node.c, 1, kMostElements);
}

int push(Graph& graph, OpKind op, std::vector<int> inputs, Dice& dice) {
  GraphNode node;
  node.op = op, node.inputs = std::move(inputs);
  node.name = std::string(name_of(op)) + std::to_string(graph.nodes.size());
  node.c = extent(dice, 40);
  const GraphNode& input = graph.nodes[static_cast<std::size_t>(node.inputs[0])];
  node.type = input.type, node.rule = input.type.grid.rule;
  if (op == OpKind::quantize) node.type = {true, {{0.01f}, 0, -127, 127, -1, QuantRule::onnx}};
  if (op == OpKind::dequantize) node.type = {};
  if (op == OpKind::activation) node.act = kernels::Activation::relu6;
  if (is_layer(op) && dice.roll(2) != 0) node.type = {};
  node.clamp_lo = node.type.grid.lo, node.clamp_hi = node.type.grid.hi;
  node.geometry.r = extent(dice, 4), node.geometry.s = extent(dice, 4);
  node.geometry.stride_h = extent(dice, 3), node.geometry.stride_w = extent(dice, 3);
  node.geometry.pad_h = dice.roll(static_cast<std::uint32_t>(node.geometry.r)),
  node.geometry.pad_w = dice.roll(static_cast<std::uint32_t>(node.geometry.s));
  graph.nodes.push_back(std::move(node));
  repair(graph, graph.nodes.size() - 1);
  return static_cast<int>(graph.nodes.size()) - 1;
}

/// A new node behind the last, made the output by way of a flatten.
void grow(Graph& graph, Dice& dice) {
  static const std::vector<OpKind> kinds{OpKind::quantize, OpKind::dequantize, OpKind::conv2d,
                                         OpKind::dwconv2d, OpKind::add,        OpKind::concat,
                                         OpKind::max_pool, OpKind::avg_pool,   OpKind::activation};
  if (graph.nodes.size() + 3 > kMostNodes)
    graph.nodes.resize(1 + dice.roll(static_cast<std::uint32_t>(graph.nodes.size())));
  const auto count = static_cast<std::uint32_t>(graph.nodes.size());
  const int from = static_cast<int>(dice.roll(count)),
            other = dice.roll(2) != 0 ? from : static_cast<int>(dice.roll(count));
  const OpKind op = dice.pick(kinds);
  int last =
      push(graph, op,
           op == OpKind::add || op == OpKind::concat ? std::vector<int>{from, other} : std::vector<int>{from}, dice);
  if (graph.nodes.back().type.is_codes) last = push(graph, OpKind::dequantize, {last}, dice);
  graph.output = push(graph, OpKind::flatten, {last}, dice);
}

void change_grid(GraphNode& node, Dice& dice) {
  QuantParams& grid = node.type.grid;
  switch (dice.roll(6)) {
    case 0:
      grid.scale = {real(dice)};
      break;
    case 1:
      grid.zero_point = whole(dice);
      break;
    case 2:
      grid.lo = whole(dice);
      break;
    case 3:
      grid.hi = whole(dice);
      break;
    case 4:
      grid = {{0.02f}, static_cast<std::int32_t>(dice.roll(256)), 0, 255, -1, QuantRule::onnx};
      break;
    default:
      grid = {{0.02f}, 0, -7, 7, -1, dice.roll(2) != 0 ? QuantRule::onnx : QuantRule::paddle};
  }
  if (grid.scale.empty()) grid.scale = {1};
  node.type.is_codes = dice.roll(8) != 0;
  node.clamp_lo = dice.roll(8) != 0 ? grid.lo : whole(dice), node.clamp_hi = dice.roll(8) != 0 ? grid.hi : whole(dice);
}

void change_weights(GraphNode& node, Dice& dice) {
  const auto k = static_cast<std::size_t>(node.c);
  switch (dice.roll(5)) {
    case 0:
      if (node.weight.defined() && node.weight.nbytes() > 0)
        static_cast<char*>(node.weight.raw())[dice.roll(static_cast<std::uint32_t>(node.weight.nbytes()))] =
            static_cast<char>(dice.roll(256));
      break;
    case 1:
      node.weight_step.assign(k, real(dice));
      break;
    case 2:
      node.bias.assign(dice.roll(2) * k, whole(dice));
      break;
    case 3:
      node.float_bias.assign(dice.roll(2) * k, real(dice));
      break;
    default:
      node.rule = dice.roll(2) != 0 ? QuantRule::onnx : QuantRule::paddle;
  }
}

void change_one(Graph& graph, Dice& dice) {
  const std::size_t at = dice.roll(static_cast<std::uint32_t>(graph.nodes.size()));
  GraphNode& node = graph.nodes[at];
  kernels::ConvGeometry& g = node.geometry;
  switch (dice.roll(9)) {
    case 0:
      node.c = extent(dice, 70);
      break;
    case 1:
      g.r = extent(dice, 6), g.pad_h = std::min<std::int64_t>(g.pad_h, g.r - 1);
      break;
    case 2:
      g.s = extent(dice, 6), g.pad_w = std::min<std::int64_t>(g.pad_w, g.s - 1);
      break;
    case 3:
      g.stride_h = extent(dice, 4), g.stride_w = extent(dice, 4);
      break;
    case 4:
      g.pad_h = dice.roll(static_cast<std::uint32_t>(g.r)), g.pad_w = dice.roll(static_cast<std::uint32_t>(g.s));
      break;
    case 5:
      if (!node.inputs.empty() && at > 0)
        node.inputs[dice.roll(static_cast<std::uint32_t>(node.inputs.size()))] =
            static_cast<int>(dice.roll(static_cast<std::uint32_t>(at)));
      break;
    case 6:
      change_grid(node, dice);
      break;
    case 7:
      if (is_layer(node.op)) change_weights(node, dice);
      break;
    default:
      graph.nodes[0].h = extent(dice, 12), graph.nodes[0].w = extent(dice, 12), graph.nodes[0].c = extent(dice, 20);
  }
}

}  // namespace

std::string bytes_of(const Graph& graph) {
  NamedTensors tensors;
  const auto add = [&]<class T>(const std::string& name, const std::vector<T>& values) {
    if (!values.empty()) tensors.emplace_back(name, Tensor::from({static_cast<std::int64_t>(values.size())}, values));
  };
  bool floats = false;
  for (const GraphNode& node : graph.nodes) {
    if (!is_layer(node.op) || !node.weight.defined()) continue;
    floats = floats || is_float_layer(node);
    tensors.emplace_back(node.name + ".weight", node.weight);
    add(node.name + ".weight_step", node.weight_step);
    add(node.name + ".bias", node.bias);
    add(node.name + ".float_bias", node.float_bias);
  }
  return make_container(tensors, {{"octet.kind", floats ? "float" : "int8"},
                                  {"octet.format", "1"},
                                  {"octet.graph", engine::write_graph_text(graph)}});
}

void mutate(Graph& graph, Dice& dice) {
  for (std::uint32_t changes = 1 + dice.roll(3); changes > 0; --changes)
    dice.roll(4) == 0 ? grow(graph, dice) : change_one(graph, dice);
  if (dice.roll(16) == 0) graph.output = static_cast<int>(dice.roll(static_cast<std::uint32_t>(graph.nodes.size())));
  if (dice.roll(8) == 0) return;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) repair(graph, i);
}

}  // namespace octet::fuzz
