#include "quant/engine/graph_file.h"

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "core/safetensors.h"

namespace octet::engine {
namespace {

using nlohmann::json;

constexpr const char *kKind = "octet.kind", *kFormat = "octet.format", *kGraph = "octet.graph";
constexpr std::size_t kMostGraphText = std::size_t{16} << 20;
constexpr OpKind kOps[] = {OpKind::input,    OpKind::quantize, OpKind::dequantize, OpKind::conv2d,  OpKind::dwconv2d,  OpKind::add,
                           OpKind::concat,   OpKind::max_pool, OpKind::avg_pool,   OpKind::flatten, OpKind::activation};
constexpr kernels::Activation kActs[] = {kernels::Activation::none, kernels::Activation::relu, kernels::Activation::relu6};

const char* rule_name(QuantRule rule) { return rule == QuantRule::paddle ? "paddle" : "onnx"; }

QuantRule rule_named(const std::string& name) {
  OCTET_CHECK(name == "onnx" || name == "paddle", "graph", "unknown rule '{}'", name);
  return name == "paddle" ? QuantRule::paddle : QuantRule::onnx;
}

template <class T, std::size_t n>
T named(const T (&all)[n], const std::string& name, const char* what) {
  for (T one : all)
    if (name == name_of(one)) return one;
  fail("graph", fmt::format("unknown {} '{}'", what, name));
}

bool has_geometry(OpKind op) {
  return op == OpKind::conv2d || op == OpKind::dwconv2d || op == OpKind::max_pool || op == OpKind::avg_pool;
}

json to_json(const IntegerNode& node) {
  json j{{"op", name_of(node.op)}, {"name", node.name}, {"inputs", node.inputs}, {"extent", {node.h, node.w, node.c}}};
  if (node.type.is_codes) {
    const QuantParams& grid = node.type.grid;
    j["grid"] = {{"scale", grid.scale.at(0)}, {"zero_point", grid.zero_point}, {"lo", grid.lo}, {"hi", grid.hi}, {"rule", rule_name(grid.rule)}};
    j["clamp"] = {node.clamp_lo, node.clamp_hi};
  }
  if (has_geometry(node.op)) {
    const kernels::ConvGeometry& g = node.geometry;
    j["window"] = {g.r, g.s};
    j["stride"] = {g.stride_h, g.stride_w};
    j["padding"] = {g.pad_h, g.pad_w};
  }
  if (node.op == OpKind::conv2d || node.op == OpKind::dwconv2d) j["rule"] = rule_name(node.rule);
  if (node.act != kernels::Activation::none) j["activation"] = name_of(node.act);
  return j;
}

IntegerNode node_from(const json& j, const std::vector<IntegerNode>& before) {
  IntegerNode node;
  node.op = named(kOps, j.at("op").get<std::string>(), "op");
  node.name = j.at("name").get<std::string>();
  node.inputs = j.at("inputs").get<std::vector<int>>();
  const auto extent = j.at("extent").get<std::array<std::int64_t, 3>>();
  node.h = extent[0], node.w = extent[1], node.c = extent[2];
  if (j.contains("grid")) {
    const json& grid = j.at("grid");
    node.type.is_codes = true;
    node.type.grid = {{grid.at("scale").get<float>()}, grid.at("zero_point").get<std::int32_t>(), grid.at("lo").get<std::int32_t>(),
                      grid.at("hi").get<std::int32_t>(), -1, rule_named(grid.at("rule").get<std::string>())};
    const auto clamp = j.at("clamp").get<std::array<std::int32_t, 2>>();
    node.clamp_lo = clamp[0], node.clamp_hi = clamp[1];
  }
  if (has_geometry(node.op)) {
    OCTET_CHECK(node.inputs.size() == 1 && node.inputs[0] >= 0 && static_cast<std::size_t>(node.inputs[0]) < before.size(), "graph",
                "node '{}' does not read one earlier node", node.name);
    const IntegerNode& input = before[static_cast<std::size_t>(node.inputs[0])];
    const auto window = j.at("window").get<std::array<std::int64_t, 2>>(), stride = j.at("stride").get<std::array<std::int64_t, 2>>(),
               padding = j.at("padding").get<std::array<std::int64_t, 2>>();
    node.geometry = {1, input.h, input.w, input.c, node.c, window[0], window[1], stride[0], stride[1], padding[0], padding[1]};
  }
  if (j.contains("rule")) node.rule = rule_named(j.at("rule").get<std::string>());
  if (j.contains("activation")) node.act = named(kActs, j.at("activation").get<std::string>(), "activation");
  return node;
}

// Numbers that JSON has but a conversion would bend (1e99 as an int, -1 as unsigned) end up out of range and fail validation;
// fractions where counts belong are caught here.
void refuse_fractions(const json& j) {
  static const std::set<std::string> kReal{"scale"};
  for (const auto& [key, value] : j.items()) {
    if (value.is_structured()) refuse_fractions(value);
    OCTET_CHECK(!value.is_number_float() || (j.is_object() && kReal.contains(key)), "graph", "'{}' is {}, a whole number is expected", key, value.dump());
  }
}

void take_vectors(const TensorFile& file, IntegerNode& node) {
  const auto vector_of = [&]<class T>(const char* suffix, std::vector<T>& to) {
    const Tensor* tensor = file.find(node.name + suffix);
    if (tensor == nullptr) return;
    OCTET_CHECK(tensor->dtype() == dtype_of<T> && tensor->shape().rank() == 1, "graph", "'{}{}' is {} {}", node.name, suffix,
                tensor->shape().str(), name_of(tensor->dtype()));
    to.assign(tensor->data<T>(), tensor->data<T>() + tensor->numel());
  };
  node.weight = file.get(node.name + ".weight");
  vector_of(".weight_step", node.weight_step);
  vector_of(".bias", node.bias);
  vector_of(".float_bias", node.float_bias);
}

IntegerGraph graph_from(const TensorFile& file) {
  const std::string& text = file.meta(kGraph);
  OCTET_CHECK(text.size() <= kMostGraphText, "graph", "the description has {} bytes, more than {}", text.size(), kMostGraphText);
  const json j = json::parse(text);
  refuse_fractions(j.at("nodes"));
  IntegerGraph graph;
  graph.scheme = j.at("scheme").get<std::string>();
  graph.output = j.at("output").get<int>();
  graph.notes = j.at("notes").get<std::map<std::string, std::string>>();
  std::size_t weighted = 0;
  for (const json& item : j.at("nodes")) {
    IntegerNode node = node_from(item, graph.nodes);
    if (node.op == OpKind::conv2d || node.op == OpKind::dwconv2d) {
      take_vectors(file, node);
      weighted += 2 + !node.bias.empty() + !node.float_bias.empty();
    }
    graph.nodes.push_back(std::move(node));
  }
  OCTET_CHECK(weighted == file.tensors.size(), "graph", "{} tensors in the file, the graph uses {}", file.tensors.size(), weighted);
  return graph;
}

template <class T>
Tensor tensor_of(const std::vector<T>& values) {
  return Tensor::from({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

void save_graph(const std::string& path, const IntegerGraph& graph) {
  validate(graph);
  json nodes = json::array();
  NamedTensors tensors;
  for (const IntegerNode& node : graph.nodes) {
    nodes.push_back(to_json(node));
    if (!node.weight.defined()) continue;
    tensors.emplace_back(node.name + ".weight", node.weight);
    tensors.emplace_back(node.name + ".weight_step", tensor_of(node.weight_step));
    if (!node.bias.empty()) tensors.emplace_back(node.name + ".bias", tensor_of(node.bias));
    if (!node.float_bias.empty()) tensors.emplace_back(node.name + ".float_bias", tensor_of(node.float_bias));
  }
  const json j{{"scheme", graph.scheme}, {"output", graph.output}, {"notes", graph.notes}, {"nodes", nodes}};
  write_safetensors(path, tensors, {{kKind, "int8"}, {kFormat, std::to_string(kFormatVersion)}, {kGraph, j.dump()}});
}

IntegerGraph load_graph(const std::string& path) {
  const TensorFile file = read_safetensors(path, {.copy = false, .require_checksum = true});
  const auto kind = file.metadata.find(kKind);
  OCTET_CHECK(kind != file.metadata.end() && kind->second == "int8", "engine", "'{}' is no int8 model of octet ---> HINT give the int8.safetensors of a run", path);
  OCTET_CHECK(file.meta(kFormat) == std::to_string(kFormatVersion), "engine", "'{}' has format {}, this program reads {}", path,
              file.meta(kFormat), kFormatVersion);
  try {
    IntegerGraph graph = graph_from(file);
    validate(graph);
    return graph;
  } catch (const json::exception& error) {
    fail("engine", fmt::format("'{}': the graph description is damaged ({})", path, error.what()), "export it again");
  } catch (const Error& error) {
    fail("engine", fmt::format("'{}': {}", path, error.what()));
  }
}

}  // namespace octet::engine
