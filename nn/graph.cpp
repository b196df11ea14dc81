#include "nn/graph.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/random.h"

namespace octet::nn {
namespace {

using Owners = std::unordered_map<const Node*, Module*>;
using Names = std::unordered_map<const void*, std::pair<std::string, Module*>>;

// Which module holds a parameter, and how every module is called.
struct Index {
  Owners owners;
  Names names;
};

Index index_of(Module& model) {
  Index index;
  for (const auto& [name, module] : model.named_modules()) {
    index.names[module] = {name, module};
    for (const auto& [own, parameter] : module->named_parameters()) index.owners[parameter.node().get()] = module;
  }
  // Parents come first in named_modules(), so the innermost owner has overwritten the outer ones.
  return index;
}

// Inputs come before their readers, the first argument's branch first; without recursion: nets may be deep.
std::vector<const Node*> post_order(const Node* root) {
  std::vector<const Node*> order;
  std::unordered_map<const Node*, bool> done;
  std::vector<const Node*> stack{root};
  while (!stack.empty()) {
    const Node* node = stack.back();
    bool ready = true;
    for (auto it = node->inputs.rbegin(); it != node->inputs.rend(); ++it)
      if (!done.contains(it->node().get())) {
        stack.push_back(it->node().get());
        ready = false;
      }
    if (!ready) continue;
    stack.pop_back();
    if (!std::exchange(done[node], true)) order.push_back(node);
  }
  return order;
}

Shape one_picture(const Shape& shape) { return shape.rank() == 0 ? shape : shape.with(0, 1); }

GraphNode describe(const Node& node, const std::unordered_map<const Node*, int>& position, const Index& index,
                   const std::vector<GraphNode>& made_before) {
  GraphNode made;
  made.op = node.op;
  made.attributes = node.attributes;
  made.shape = made.op == "batchnorm_affine" ? node.value.shape() : one_picture(node.value.shape());
  const void* module = node.module;
  for (const Variable& input : node.inputs) {
    const auto at = position.find(input.node().get());
    if (at != position.end()) {
      made.inputs.push_back(at->second);
      continue;
    }
    const auto owner = index.owners.find(input.node().get());
    if (owner != index.owners.end() && made.parameters.empty()) module = owner->second;
    made.parameters.push_back(input);
  }
  // The affine map is applied by whoever reads the conv; it belongs to the batch norm that made it.
  if (made.op == "affine_act" && made.inputs.size() == 2)
    module = made_before[static_cast<std::size_t>(made.inputs[1])].module;
  if (const auto name = index.names.find(module); name != index.names.end()) {
    made.path = name->second.first;
    made.module = name->second.second;
  }
  return made;
}

Graph record_once(Module& model, const Shape& shape, std::uint64_t stream, const Index& index) {
  Tensor picture(shape);
  Random random(1, Purpose::test, stream);
  for (float& x : picture.span<float>()) x = static_cast<float>(random.uniform(-1, 1));
  const Variable input(picture.to(model.device()));
  const Variable output = model(input);

  Graph graph;
  std::unordered_map<const Node*, int> position;
  graph.nodes.push_back({"input", {}, {}, {}, nullptr, "", one_picture(shape)});
  position[input.node().get()] = 0;
  const auto order = post_order(output.node().get());
  OCTET_CHECK(std::find(order.begin(), order.end(), input.node().get()) != order.end(), "trace",
              "the model's output does not depend on its input");
  for (const Node* node : order) {
    if (node->op.empty()) continue;  // the input, or a leaf parameter
    GraphNode made = describe(*node, position, index, graph.nodes);
    position[node] = static_cast<int>(graph.nodes.size());
    graph.nodes.push_back(std::move(made));
  }
  graph.output = position[output.node().get()];
  return graph;
}

bool same(const GraphNode& a, const GraphNode& b) {
  if (a.op != b.op || a.attributes != b.attributes || a.inputs != b.inputs || a.module != b.module ||
      !(a.shape == b.shape) || a.parameters.size() != b.parameters.size())
    return false;
  for (std::size_t i = 0; i < a.parameters.size(); ++i)
    if (a.parameters[i].node() != b.parameters[i].node()) return false;
  return true;
}

std::int64_t macs_of(const GraphNode& node) {
  if (node.op != "conv2d" && node.op != "dwconv2d" && node.op != "linear") return 0;
  OCTET_CHECK(!node.parameters.empty(), "trace", "the weight of a {} in '{}' is computed, not a parameter", node.op,
              node.path);
  const Shape& weight = node.parameters[0].shape();
  return node.shape.numel() * (weight.numel() / weight[0]);
}

}  // namespace

std::vector<std::vector<int>> Graph::consumers() const {
  std::vector<std::vector<int>> readers(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (int input : nodes[i].inputs) readers[static_cast<std::size_t>(input)].push_back(static_cast<int>(i));
  return readers;
}

std::string Graph::str() const {
  std::string text;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const GraphNode& node = nodes[i];
    text += fmt::format("{:3} {:18} {:28} {:14}", i, node.op, node.path, node.shape.str());
    for (int input : node.inputs) text += fmt::format(" {}", input);
    text += '\n';
  }
  return text;
}

Graph trace(Module& model, const Shape& shape) {
  EvaluationMode evaluation(model);
  NoGrad no_grad;
  RecordGuard record_all;
  TransformBypass bypass;
  const Index index = index_of(model);
  Graph graph = record_once(model, shape, 0, index);
  const Graph again = record_once(model, shape, 1, index);
  bool equal = graph.nodes.size() == again.nodes.size() && graph.output == again.output;
  for (std::size_t i = 0; equal && i < graph.nodes.size(); ++i) equal = same(graph.nodes[i], again.nodes[i]);
  OCTET_CHECK(equal, "trace",
              "the model ran other operations for a second input: control flow that depends on data cannot be traced");
  return graph;
}

std::int64_t count_macs(const Graph& graph) {
  std::int64_t macs = 0;
  for (const GraphNode& node : graph.nodes) macs += macs_of(node);
  return macs;
}

std::string summary(Module& model, const Shape& shape) {
  const Graph graph = trace(model, shape);
  constexpr const char* kRow = "{:26} {:18} {:>14} {:>12} {:>12}\n";
  std::string text = fmt::format(kRow, "layer", "kind", "output", "parameters", "MACs");
  for (const GraphNode& node : graph.nodes) {
    // A batch norm shows once, as its statistics; the affine map that applies it has no parameters of its own.
    if (node.module == nullptr || node.op == "affine_act") continue;
    std::int64_t parameters = 0;
    for (const Variable& parameter : node.parameters) parameters += parameter.value().numel();
    text += fmt::format(kRow, node.path, node.module->kind(), node.shape.str(), parameters, macs_of(node));
  }
  text += fmt::format("{} parameters, {:.2f} M multiply-accumulates a picture\n", model.parameter_count(),
                      static_cast<double>(count_macs(graph)) * 1e-6);
  return text;
}

}  // namespace octet::nn
