#include "quant/deployment/convert.h"

#include <algorithm>
#include <cmath>

#include "quant/deployment/plan.h"
#include "quant/deployment/window_shares.h"

namespace octet::quant {
namespace {

using engine::GraphNode;
using engine::OpKind;

/// Channels whose largest weight lies where it can never matter: their scale is larger than it needs to be.
void note_idle_scales(const PlanNode& node, const Tensor& codes, ConvertReport& report) {
  const std::vector<double> seen = window_shares(node.geometry);
  if (std::find(seen.begin(), seen.end(), 0.0) == seen.end()) return;
  const std::int64_t channels = codes.shape()[0], taps = node.geometry.r * node.geometry.s,
                     inner = codes.numel() / channels;
  const std::int8_t* code = codes.data<std::int8_t>();
  for (std::int64_t k = 0; k < channels; ++k) {
    int in_use = 0, unused = 0;
    for (std::int64_t i = 0; i < inner; ++i) {
      int& top = seen[static_cast<std::size_t>(i / (inner / taps))] == 0 ? unused : in_use;
      top = std::max(top, std::abs(static_cast<int>(code[k * inner + i])));
    }
    if (unused > in_use)
      report.channels.push_back(
          {node.name, k,
           fmt::format("its largest weight only ever sees padding: codes in use reach {} of {}", in_use, unused)});
  }
}

GraphNode integer_node(const Plan& plan, const PlanNode& node, ConvertReport& report) {
  GraphNode made;
  made.op = node.op, made.name = node.name, made.inputs = node.inputs, made.type = node.type;
  made.h = node.h, made.w = node.w, made.c = node.c;
  made.geometry = node.geometry;
  made.rule = plan.scheme == Scheme::paddle ? QuantRule::paddle : QuantRule::onnx;
  if (node.type.is_codes) {
    const CodeBounds bounds = bounds_of(node.type.grid, node.act);
    made.clamp_lo = bounds.lo, made.clamp_hi = bounds.hi;
  } else {
    made.act = node.act;
  }
  if (!is_layer(node.op)) return made;
  FoldedLayer folded = fold_node(plan, node);
  for (const ChannelNote& note : folded.notes) report.channels.push_back({node.name, note.channel, note.what});
  note_idle_scales(node, folded.codes, report);
  made.weight = folded.codes;
  made.weight_step = std::move(folded.step);
  made.bias = std::move(folded.bias);
  made.float_bias = std::move(folded.float_bias);
  return made;
}

}  // namespace

std::string ConvertReport::str() const {
  std::string text;
  for (std::size_t i = 0, end = 0; i < channels.size(); i = end) {
    while (end < channels.size() && channels[end].layer == channels[i].layer) ++end;
    text += fmt::format("{}: {} channels, first {}: {}\n", channels[i].layer, end - i, channels[i].channel,
                        channels[i].what);
  }
  return text;
}

engine::Graph convert(nn::Module& model, const Shape& shape, const QuantConfig& config, ConvertReport* report) {
  const Plan plan = make_plan(model, shape, config);
  ConvertReport own;
  engine::Graph graph;
  graph.scheme = name_of(config.scheme);
  graph.output = plan.output;
  for (const PlanNode& node : plan.nodes) graph.nodes.push_back(integer_node(plan, node, own));
  engine::validate(graph);
  if (report != nullptr) *report = std::move(own);
  return graph;
}

}  // namespace octet::quant
