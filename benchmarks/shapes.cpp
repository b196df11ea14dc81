#include "benchmarks/shapes.h"

#include <algorithm>

#include "nn/graph.h"
#include "nn/models.h"

namespace octet::bench {
namespace {

using kernels::ConvGeometry;

std::int64_t attribute(const nn::GraphNode& node, const char* name) {
  return std::get<std::int64_t>(node.attributes.at(name));
}

ConvGeometry geometry_of(const nn::GraphNode& node, const Shape& src) {
  const Shape& weight = node.parameters.at(0).shape();
  if (node.op == "linear") return {1, 1, 1, weight[1], weight[0], 1, 1, 1, 1, 0, 0};
  return {1,
          src[1],
          src[2],
          src[3],
          weight[0],
          weight[1],
          weight[2],
          attribute(node, "stride_h"),
          attribute(node, "stride_w"),
          attribute(node, "pad_h"),
          attribute(node, "pad_w")};
}

/// Adds the layer, or counts it with an equal one before: "pw7" and "pw11" become "pw7-11".
void add_layer(std::vector<Layer>& layers, const std::string& kind, int index, const Layer& layer) {
  for (Layer& known : layers) {
    if (known.depthwise != layer.depthwise || !(known.geometry == layer.geometry)) continue;
    ++known.times;
    known.name = known.name.substr(0, known.name.find('-')) + "-" + std::to_string(index);
    return;
  }
  layers.push_back(layer);
  layers.back().name = kind == "fc" || kind == "stem" ? kind : kind + std::to_string(index);
}

void add_map(std::vector<Map>& maps, const Layer& layer) {
  const ConvGeometry& g = layer.geometry;
  const std::string name = std::to_string(g.out_h()) + "x" + std::to_string(g.out_w()) + "x" + std::to_string(g.k);
  const bool known = std::any_of(maps.begin(), maps.end(), [&](const Map& map) { return map.name == name; });
  if (!known) maps.push_back({name, g.out_h(), g.out_w(), g.k});
}

Network trace_network() {
  nn::MobileNetV1Options options;
  const auto model = nn::mobilenet_v1(options);
  const nn::Graph graph = nn::trace(*model, Shape{1, 32, 32, 3});
  Network net;
  net.classes = options.classes;
  int depthwise = 0, pointwise = 0;
  for (const nn::GraphNode& node : graph.nodes) {
    if (node.op != "conv2d" && node.op != "dwconv2d" && node.op != "linear") continue;
    const Shape& src = graph.nodes[static_cast<std::size_t>(node.inputs.at(0))].shape;
    const Layer layer{"", geometry_of(node, src), node.op == "dwconv2d", 1};
    if (node.op == "linear")
      add_layer(net.layers, "fc", 0, layer);
    else if (layer.depthwise)
      add_layer(net.layers, "dw", ++depthwise, layer);
    else if (layer.geometry.is_pointwise())
      add_layer(net.layers, "pw", ++pointwise, layer);
    else
      add_layer(net.layers, "stem", 0, layer);
    if (node.op != "linear") add_map(net.maps, layer);
  }
  for (const auto& [name, parameter] : model->named_parameters()) net.parameters += parameter.value().numel();
  return net;
}

}  // namespace

const Network& network() {
  static const Network net = trace_network();
  return net;
}

std::vector<Layer> layers_of(LayerKind kind, std::int64_t batch) {
  std::vector<Layer> found;
  for (Layer layer : network().layers) {
    const LayerKind own = layer.depthwise      ? LayerKind::depthwise
                          : layer.name == "fc" ? LayerKind::linear
                                               : LayerKind::conv;
    if (own != kind) continue;
    layer.geometry.n = batch;
    found.push_back(std::move(layer));
  }
  return found;
}

}  // namespace octet::bench
