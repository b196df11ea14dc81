#include "quant/deployment/float_graph.h"

#include <cmath>

#include "quant/deployment/draft.h"

namespace octet::quant {
namespace {

using engine::GraphNode;
using engine::OpKind;
using kernels::Activation;

/// Batch norm of one channel in evaluation: z·scale + shift.
struct Affine {
  double scale = 1, shift = 0;
};

Affine affine_of(const nn::BatchNorm2d* bn, std::int64_t c) {
  if (bn == nullptr || bn->folded()) return {};
  const double variance = std::max(0.0f, bn->state.running_var.data<float>()[c]);
  const double scale = bn->gamma.value().data<float>()[c] / std::sqrt(variance + bn->state.epsilon);
  return {scale, bn->beta.value().data<float>()[c] - bn->state.running_mean.data<float>()[c] * scale};
}

void fold_layer(const PlanNode& node, GraphNode& made) {
  const Tensor& weight = nn::weight_of(*node.layer).value();
  const Variable& bias = nn::bias_of(*node.layer);
  const std::int64_t k = weight.shape()[0], inner = weight.numel() / k;
  made.weight = weight.shape().rank() == 2 ? weight.clone().reshape({k, 1, 1, inner}) : weight.clone();
  for (std::int64_t c = 0; c < k; ++c) {
    const Affine affine = affine_of(node.batch_norm, c);
    float* row = made.weight.data<float>() + c * inner;
    if (affine.scale != 1)
      for (std::int64_t i = 0; i < inner; ++i) row[i] = static_cast<float>(row[i] * affine.scale);
    const double own = bias.defined() ? bias.value().data<float>()[c] : 0;
    made.float_bias.push_back(static_cast<float>(own * affine.scale + affine.shift));
  }
}

/// Nodes in the order of the drafts; an activation behind a sum becomes a node of its own.
class Builder {
 public:
  explicit Builder(const Drafts& drafts) : drafts_(drafts) {}

  engine::Graph run() {
    graph_.scheme = "float";
    for (const Draft& op : drafts_.ops) add(op.node);
    graph_.output = made_.at(static_cast<std::size_t>(drafts_.output));
    engine::validate(graph_);
    return std::move(graph_);
  }

 private:
  int push(GraphNode node) {
    node.name = names_.next(node.name);
    graph_.nodes.push_back(std::move(node));
    return static_cast<int>(graph_.nodes.size()) - 1;
  }

  void add(const PlanNode& node) {
    GraphNode made;
    made.op = node.op, made.name = node.name;
    made.h = node.h, made.w = node.w, made.c = node.c;
    made.geometry = node.geometry;
    for (int input : node.inputs) made.inputs.push_back(made_.at(static_cast<std::size_t>(input)));
    const bool acts = engine::is_layer(node.op) || node.op == OpKind::activation;
    if (acts) made.act = node.act;
    if (engine::is_layer(node.op)) fold_layer(node, made);
    const int at = push(std::move(made));
    made_.push_back(acts || node.act == Activation::none ? at : push(activation_behind(node, at)));
  }

  static GraphNode activation_behind(const PlanNode& node, int from) {
    GraphNode act;
    act.op = OpKind::activation, act.name = fmt::format("{}.{}", node.name, kernels::name_of(node.act)),
    act.inputs = {from};
    act.h = node.h, act.w = node.w, act.c = node.c, act.act = node.act;
    return act;
  }

  const Drafts& drafts_;
  std::vector<int> made_;  ///< per draft, its node
  UniqueNames names_;
  engine::Graph graph_;
};

}  // namespace

engine::Graph float_graph(nn::Module& model, const Shape& shape) {
  return Builder(draft(nn::trace(model, shape))).run();
}

}  // namespace octet::quant
