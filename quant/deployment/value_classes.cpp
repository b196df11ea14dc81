#include "quant/deployment/value_classes.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "nn/layers.h"

namespace octet::quant {
namespace {

class Union {
 public:
  explicit Union(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  int find(int i) {
    int& parent = parent_[static_cast<std::size_t>(i)];
    return parent == i ? i : parent = find(parent);
  }
  void join(int a, int b) { parent_[static_cast<std::size_t>(find(b))] = find(a); }

 private:
  std::vector<int> parent_;
};

bool makes_non_negative(const nn::GraphNode& node) {
  if (node.op == "relu" || node.op == "relu6") return true;
  return node.op == "affine_act" &&
         std::get<std::string>(node.attributes.at("act")) != name_of(kernels::Activation::none);
}

/// Ops whose value is non-negative when all their inputs are.
bool keeps_sign(const std::string& op) {
  return passes_codes(op) || op == "avg_pool" || op == "global_avg_pool" || op == "add";
}

/// For each node: does `source` hold for it, or does `keeps` hold and every input have it?
template <class Source, class Keeps>
std::vector<bool> spread(const nn::Graph& graph, Source source, Keeps keeps) {
  std::vector<bool> has(graph.nodes.size());
  for (std::size_t i = 0; i < has.size(); ++i) {
    const nn::GraphNode& node = graph.nodes[i];
    has[i] = source(node) || (keeps(node.op) && std::all_of(node.inputs.begin(), node.inputs.end(), [&](int input) {
                                return has[static_cast<std::size_t>(input)];
                              }));
  }
  return has;
}

}  // namespace

bool passes_codes(const std::string& op) {
  return op == "max_pool" || op == "flatten" || op == "dropout" || op == "concat";
}

bool is_quantized_layer(const nn::GraphNode& node, const QuantConfig& config) {
  if (node.op == "conv2d" || node.op == "dwconv2d")
    return dynamic_cast<nn::Conv2d*>(node.module) != nullptr && config.quantizes_conv(node.op == "dwconv2d");
  return node.op == "linear" && dynamic_cast<nn::Linear*>(node.module) != nullptr && config.quantizes_linear();
}

std::vector<std::vector<int>> value_readers(const nn::Graph& graph) {
  auto readers = graph.consumers();
  for (auto& of_one : readers)
    std::erase_if(of_one, [&](int i) { return graph.nodes[static_cast<std::size_t>(i)].op == "batchnorm_affine"; });
  return readers;
}

std::vector<SlotRead> slot_reads(const nn::Graph& graph, const QuantConfig& config, bool shared) {
  std::vector<SlotRead> reads;
  for (const nn::GraphNode& node : graph.nodes) {
    if (is_quantized_layer(node, config)) reads.push_back({node.module, "input_transform", node.inputs.at(0)});
    if (!shared) continue;
    if (dynamic_cast<nn::Add*>(node.module) != nullptr && node.op == "add") {
      reads.push_back({node.module, "lhs_transform", node.inputs.at(0)});
      reads.push_back({node.module, "rhs_transform", node.inputs.at(1)});
    }
    const bool pool = dynamic_cast<nn::AvgPool2d*>(node.module) != nullptr ||
                      dynamic_cast<nn::GlobalAvgPool*>(node.module) != nullptr;
    if (pool && (node.op == "avg_pool" || node.op == "global_avg_pool"))
      reads.push_back({node.module, "input_transform", node.inputs.at(0)});
  }
  return reads;
}

std::vector<ValueClass> value_classes(const nn::Graph& graph, const std::vector<SlotRead>& reads) {
  Union joined(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (passes_codes(graph.nodes[i].op))
      for (int input : graph.nodes[i].inputs) joined.join(input, static_cast<int>(i));
  std::map<std::pair<nn::Module*, std::string>, int> first_value;
  for (const SlotRead& read : reads)
    joined.join(first_value.try_emplace({read.module, read.slot}, read.value).first->second, read.value);

  const auto non_negative = spread(graph, makes_non_negative, keeps_sign);
  const auto picture = spread(
      graph, [](const nn::GraphNode& node) { return node.op == "input"; }, passes_codes);
  std::map<int, ValueClass> by_root;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    ValueClass& its = by_root[joined.find(static_cast<int>(i))];
    its.non_negative = its.non_negative && non_negative[i];
    its.picture_only = its.picture_only && picture[i];
  }
  for (const SlotRead& read : reads) by_root[joined.find(read.value)].reads.push_back(read);
  std::vector<ValueClass> classes;
  for (auto& [root, its] : by_root) classes.push_back(std::move(its));
  return classes;
}

}  // namespace octet::quant
