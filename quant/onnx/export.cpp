#include "quant/onnx/export.h"

#include <algorithm>

#include "core/file.h"
#include "quant/onnx/model_builder.h"
#include "quant/onnx/profiles.h"
#include "quant/onnx/quantized.h"

namespace octet::quant {
namespace {

using engine::Graph;
using engine::GraphNode;
using engine::OpKind;
using Ints = ModelBuilder::Ints;

/// The f32 tensor that holds a node's value in the file: N,C,H,W, or N,columns behind a flatten.
struct Value {
  std::string name;
  bool is_flat = false;
  std::int64_t h = 1, w = 1;  ///< is_flat: the map whose channels-first order the columns are in
  std::string codes{};        ///< the tensor of its codes, if it has some
};

/// K,R,S,C to K,C,R,S; also the columns of a linear layer, whose rows are maps R,S,C.
template <class T>
std::vector<T> channels_first(const Tensor& weight, std::int64_t rows, std::int64_t columns) {
  const std::int64_t k = weight.shape()[0], pixels = rows * columns, channels = weight.numel() / (k * pixels);
  const T* from = weight.data<T>();
  std::vector<T> to;
  to.reserve(static_cast<std::size_t>(weight.numel()));
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t p = 0; p < pixels; ++p) to.push_back(from[(i * pixels + p) * channels + c]);
  return to;
}

class Exporter {
 public:
  Exporter(const Graph& graph, OnnxReport& report)
      : graph_(graph), report_(report), profile_(profile_of(graph.scheme)), parts_(model_, profile_, report.notes) {}

  std::string run() {
    image_ = model_.unique_name("image"), logits_ = model_.unique_name("logits");
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) values_.push_back(add(i));
    const GraphNode& last = graph_.nodes[static_cast<std::size_t>(graph_.output)];
    Value result = values_[static_cast<std::size_t>(graph_.output)];
    if (!result.is_flat) result.name = flattened(result.name, last.name + "/rows");
    model_.rename(result.name, logits_);
    model_.output(logits_, {last.c});
    auto notes = graph_.notes;
    notes["scheme"] = graph_.scheme;
    model_.metadata(notes);
    return model_.finish();
  }

 private:
  const Value& input(const GraphNode& node, std::size_t i = 0) const {
    return values_[static_cast<std::size_t>(node.inputs[i])];
  }
  const GraphNode& input_node(const GraphNode& node) const {
    return graph_.nodes[static_cast<std::size_t>(node.inputs[0])];
  }

  Value add(std::size_t i) {
    const GraphNode& node = graph_.nodes[i];
    OCTET_CHECK(node.rule == QuantRule::onnx, "onnx", "'{}' rounds half away from zero, which ONNX cannot say",
                node.name);
    switch (node.op) {
      case OpKind::input:
        model_.input(image_, {node.c, node.h, node.w});
        return {image_};
      case OpKind::dequantize:
        return input(node);  // codes are read through their DQ anyway
      case OpKind::quantize:
        return stored(node, input(node));
      case OpKind::conv2d:
      case OpKind::dwconv2d:
        return stored(node, layer(node));
      case OpKind::add:
        return profile_.is_unsigned && adds_codes(node) ? sum_of_codes(node) : stored(node, joined(node));
      case OpKind::concat:
        return stored(node, joined(node));
      case OpKind::max_pool:
      case OpKind::avg_pool:
        return stored(node, pooled(node));
      case OpKind::flatten:
        return stored(node, flatten(i));
      case OpKind::activation:
        return stored(node, input(node));
    }
    fail("onnx", fmt::format("'{}' is of no known kind", node.name));
  }

  static void set(Value& value, QuantizedValue made) {
    value.name = std::move(made.values), value.codes = std::move(made.codes);
  }

  /// Q and DQ behind codes, an activation behind floats.
  Value stored(const GraphNode& node, Value value) {
    if (node.type.is_codes) set(value, parts_.quantize(node, value.name));
    if (node.act == kernels::Activation::relu) value.name = model_.node("Relu", {value.name}, node.name + "/relu");
    if (node.act == kernels::Activation::relu6) {
      const std::string least = model_.floats(node.name + "/min", {}, {0}),
                        most = model_.floats(node.name + "/max", {}, {6});
      value.name = model_.node("Clip", {value.name, least, most}, node.name + "/relu6");
    }
    return value;
  }

  void require_map(const GraphNode& node) const {
    for (int i : node.inputs)
      OCTET_CHECK(!values_[static_cast<std::size_t>(i)].is_flat, "onnx", "'{}' ({}) reads a flattened value as a map",
                  node.name, name_of(node.op));
  }

  Value layer(const GraphNode& node) {
    const Value& src = input(node);
    const kernels::ConvGeometry& g = node.geometry;
    const bool depthwise = node.op == OpKind::dwconv2d, linear = src.is_flat && !depthwise && g.r == 1 && g.s == 1;
    if (!linear) require_map(node);
    const std::int64_t rows = linear ? src.h : g.r, columns = linear ? src.w : g.s;
    const Ints shape = linear ? Ints{g.k, g.c} : Ints{g.k, depthwise ? 1 : g.c, g.r, g.s};
    std::vector<std::string> inputs{src.name};
    std::string bias;
    if (is_float_layer(node)) {
      inputs.push_back(model_.floats(node.name + ".weight", shape, channels_first<float>(node.weight, rows, columns)));
      if (!node.float_bias.empty()) bias = model_.floats(node.name + ".bias", {node.c}, node.float_bias);
    } else {
      inputs.push_back(parts_.weight(node, shape, channels_first<std::int8_t>(node.weight, rows, columns)));
      bias = parts_.bias(node, input_node(node).type.grid.step());
    }
    if (!bias.empty()) inputs.push_back(bias);
    if (linear) {
      const std::string name = model_.node("Gemm", inputs, node.name);
      model_.attribute("transB", 1);
      return {name, true};
    }
    const std::string name = model_.node("Conv", inputs, node.name);
    if (depthwise) model_.attribute("group", g.c);
    window_attributes(g);
    return {name};
  }

  void window_attributes(const kernels::ConvGeometry& g) {
    model_.attribute("kernel_shape", Ints{g.r, g.s});
    model_.attribute("strides", Ints{g.stride_h, g.stride_w});
    model_.attribute("pads", Ints{g.pad_h, g.pad_w, g.pad_h, g.pad_w});
  }

  bool adds_codes(const GraphNode& node) const {
    const auto is_codes = [&](int i) { return graph_.nodes[static_cast<std::size_t>(i)].type.is_codes; };
    return node.type.is_codes && std::all_of(node.inputs.begin(), node.inputs.end(), is_codes);
  }

  Value sum_of_codes(const GraphNode& node) {
    std::vector<const GraphNode*> inputs;
    std::vector<std::string> codes;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(&graph_.nodes[static_cast<std::size_t>(node.inputs[i])]);
      codes.push_back(input(node, i).codes);
    }
    Value value{"", same_form(node)};
    set(value, parts_.sum(node, inputs, codes));
    return value;
  }

  /// Are all inputs flattened? Throws where some are.
  bool same_form(const GraphNode& node) const {
    const bool flat = input(node).is_flat;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      OCTET_CHECK(input(node, i).is_flat == flat, "onnx", "'{}' joins a flattened value and a map", node.name);
    return flat;
  }

  Value joined(const GraphNode& node) {
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) inputs.push_back(input(node, i).name);
    const bool concat = node.op == OpKind::concat, flat = same_form(node);
    if (!concat && node.type.is_codes)
      report_.notes.push_back(
          node.name +
          ": runtimes round sums of two values in ways of their own, so that a code may differ now and then");
    const std::string name = model_.node(concat ? "Concat" : "Add", inputs, node.name);
    if (concat) model_.attribute("axis", 1);
    return {name, flat};
  }

  Value pooled(const GraphNode& node) {
    require_map(node);
    const kernels::ConvGeometry& g = node.geometry;
    const bool average = node.op == OpKind::avg_pool;
    if (average && g.r == g.h && g.s == g.w && g.pad_h == 0 && g.pad_w == 0)
      return {model_.node("GlobalAveragePool", {input(node).name}, node.name)};
    const std::string name = model_.node(average ? "AveragePool" : "MaxPool", {input(node).name}, node.name);
    window_attributes(g);
    if (average && node.type.is_codes)
      report_.notes.push_back(
          node.name + ": runtimes average windows in floats, so that some codes fall on the other side of a tie");
    return {name};
  }

  std::string flattened(const std::string& from, const std::string& to) {
    const std::string name = model_.node("Flatten", {from}, to);
    model_.attribute("axis", 1);
    return name;
  }

  /// Do only linear layers read node i? Their weights' columns can follow the order of the file.
  bool only_layers_read(std::size_t i) const {
    const auto reads = [&](const GraphNode& node) {
      return std::find(node.inputs.begin(), node.inputs.end(), static_cast<int>(i)) != node.inputs.end();
    };
    return static_cast<int>(i) != graph_.output &&
           std::all_of(graph_.nodes.begin(), graph_.nodes.end(),
                       [&](const GraphNode& node) { return !reads(node) || is_layer(node.op); });
  }

  Value flatten(std::size_t i) {
    const GraphNode &node = graph_.nodes[i], &map = input_node(node);
    const Value& src = input(node);
    if (src.is_flat) return src;
    const bool is_map = map.h * map.w > 1, in_order = is_map && !only_layers_read(i);
    std::string from = src.name;
    if (in_order) {
      from = model_.node("Transpose", {from}, node.name + "/channels_last");
      model_.attribute("perm", Ints{0, 2, 3, 1});
    }
    Value made{flattened(from, node.name), true};
    if (is_map && !in_order) made.h = map.h, made.w = map.w;
    return made;
  }

  const Graph& graph_;
  OnnxReport& report_;
  ModelBuilder model_;
  OnnxProfile profile_;
  QuantizedParts parts_;
  std::vector<Value> values_;  ///< per node
  std::string image_, logits_;
};

}  // namespace

OnnxReport export_onnx(const std::string& path, const Graph& graph) {
  require_onnx_profile(graph.scheme);
  engine::validate(graph);
  OnnxReport report;
  const std::string bytes = Exporter(graph, report).run();
  write_file_atomically(path, bytes);
  report.bytes = bytes.size();
  return report;
}

}  // namespace octet::quant
