#include "quant/engine/graph_file.h"

#include <algorithm>

#include "core/safetensors.h"
#include "quant/engine/graph_text.h"

namespace octet::engine {
namespace {

constexpr const char *kKind = "octet.kind", *kFormat = "octet.format", *kGraph = "octet.graph";

constexpr const char *kInt8 = "int8", *kFloat = "float";

const char* kind_of(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), is_float_layer) ? kFloat : kInt8;
}

/// Gives the node its tensors; returns how many they are.
std::size_t take_tensors(const TensorFile& file, GraphNode& node, Weights weights) {
  std::size_t taken = 0;
  const auto vector_of = [&]<class T>(const char* suffix, std::vector<T>& to) {
    const Tensor* tensor = file.find(node.name + suffix);
    if (tensor == nullptr) return;
    OCTET_CHECK(tensor->dtype() == dtype_of<T> && tensor->shape() == Shape{node.c}, "graph",
                "'{}{}' is {} {}, {} {} is needed", node.name, suffix, name_of(tensor->dtype()), tensor->shape().str(),
                name_of(dtype_of<T>), node.c);
    to.assign(tensor->data<T>(), tensor->data<T>() + tensor->numel());
    ++taken;
  };
  const Tensor& weight = file.get(node.name + ".weight");
  // Copied out of the mapping, whoever shortens the file later cannot end this process.
  node.weight = weights == Weights::copied ? weight.clone() : weight;
  vector_of(".weight_step", node.weight_step);
  vector_of(".bias", node.bias);
  vector_of(".float_bias", node.float_bias);
  return taken + 1;
}

Graph graph_from(const TensorFile& file, Weights weights) {
  Graph graph = read_graph_text(file.meta(kGraph));
  OCTET_CHECK(file.tensors.size() <= 3 * graph.nodes.size(), "graph", "{} tensors in the file, too many for {} nodes",
              file.tensors.size(), graph.nodes.size());
  std::size_t taken = 0;
  for (GraphNode& node : graph.nodes)
    if (is_layer(node.op)) taken += take_tensors(file, node, weights);
  OCTET_CHECK(taken == file.tensors.size(), "graph", "{} tensors in the file, the graph uses {}", file.tensors.size(),
              taken);
  validate(graph);
  return graph;
}

template <class T>
Tensor tensor_of(const std::vector<T>& values) {
  return Tensor::from({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

void save_graph(const std::string& path, const Graph& graph) {
  validate(graph);
  NamedTensors tensors;
  for (const GraphNode& node : graph.nodes) {
    if (!is_layer(node.op)) continue;
    tensors.emplace_back(node.name + ".weight", node.weight);
    if (!node.weight_step.empty()) tensors.emplace_back(node.name + ".weight_step", tensor_of(node.weight_step));
    if (!node.bias.empty()) tensors.emplace_back(node.name + ".bias", tensor_of(node.bias));
    if (!node.float_bias.empty()) tensors.emplace_back(node.name + ".float_bias", tensor_of(node.float_bias));
  }
  write_safetensors(
      path, tensors,
      {{kKind, kind_of(graph)}, {kFormat, std::to_string(kFormatVersion)}, {kGraph, write_graph_text(graph)}});
}

Graph load_graph(const std::string& path, Weights weights) {
  const TensorFile file = read_safetensors(path, {.copy = false, .require_checksum = true});
  const auto kind = file.metadata.find(kKind);
  OCTET_CHECK(kind != file.metadata.end() && (kind->second == kInt8 || kind->second == kFloat), "engine",
              "'{}' is no model of the engine ---> HINT give the int8.safetensors of a run, or what export wrote",
              path);
  OCTET_CHECK(file.meta(kFormat) == std::to_string(kFormatVersion), "engine",
              "'{}' has format {}, this program reads {}", path, file.meta(kFormat), kFormatVersion);
  try {
    Graph graph = graph_from(file, weights);
    OCTET_CHECK(kind->second == kind_of(graph), "graph", "the file calls itself {}, its weights are {}", kind->second,
                kind_of(graph));
    return graph;
  } catch (const Error& error) {
    fail("engine", fmt::format("'{}': {}", path, error.what()));
  }
}

}  // namespace octet::engine
