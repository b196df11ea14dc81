#include "quant/deployment/draft.h"

#include <algorithm>
#include <map>

#include "quant/deployment/value_classes.h"

namespace octet::quant {
namespace {

using engine::OpKind;
using kernels::Activation;
constexpr const char* kWhere = "convert";

std::int64_t integer(const nn::GraphNode& node, const char* key) {
  return std::get<std::int64_t>(node.attributes.at(key));
}

void set_extent(PlanNode& made, const nn::GraphNode& node) {
  const Shape& s = node.shape;
  OCTET_CHECK(s.rank() == 4 || s.rank() == 2, kWhere, "{} '{}' has shape {}, only N,H,W,C and N,C can be converted",
              node.op, node.path, s.str());
  made.h = s.rank() == 4 ? s[1] : 1;
  made.w = s.rank() == 4 ? s[2] : 1;
  made.c = s[-1];
}

/// Does this module stand for the op alone, so that its path names the value?
bool is_layer_of_one_op(const nn::Module* m) {
  return dynamic_cast<const nn::Conv2d*>(m) || dynamic_cast<const nn::Linear*>(m) || dynamic_cast<const nn::Add*>(m) ||
         dynamic_cast<const nn::Concat*>(m) || dynamic_cast<const nn::MaxPool2d*>(m) ||
         dynamic_cast<const nn::AvgPool2d*>(m) || dynamic_cast<const nn::GlobalAvgPool*>(m) ||
         dynamic_cast<const nn::Flatten*>(m) || dynamic_cast<const nn::Activation*>(m);
}

std::string name_for(const nn::GraphNode& node) {
  if (node.path.empty()) return node.op;
  return is_layer_of_one_op(node.module) ? node.path : node.path + "." + node.op;
}

Activation activation_named(const std::string& name) {
  for (Activation act : {Activation::relu, Activation::relu6})
    if (name == kernels::name_of(act)) return act;
  return Activation::none;
}

class Drafter {
 public:
  explicit Drafter(const nn::Graph& graph)
      : graph_(graph), readers_(value_readers(graph)), joined_(graph.nodes.size()) {}

  Drafts run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
      if (!joined_[i] && graph_.nodes[i].op != "batchnorm_affine") add(static_cast<int>(i));
    out_.output = draft_of_.at(graph_.output);
    return std::move(out_);
  }

 private:
  const nn::GraphNode& at(int i) const { return graph_.nodes[static_cast<std::size_t>(i)]; }

  void add(int i) {
    const nn::GraphNode& node = at(i);
    if (node.op == "dropout") {
      draft_of_[i] = draft_of_.at(node.inputs.at(0));
      return;
    }
    if (node.op == "affine_act")
      fail(kWhere,
           fmt::format("the batch norm before '{}' does not follow a convolution that feeds it alone", node.path),
           "integer arithmetic needs each batch norm directly behind a convolution or linear layer");
    Draft made;
    set_extent(made.node, node);
    made.node.name = names_.next(name_for(node));
    for (int input : node.inputs) made.node.inputs.push_back(draft_of_.at(input));
    made.slots.assign(node.inputs.size(), "");
    describe(made, node);
    draft_of_[i] = static_cast<int>(out_.ops.size());
    last_ = i;
    if (is_layer(made.node.op)) join_batch_norm(made);
    if (is_layer(made.node.op) || made.node.op == OpKind::add) join_activation(made);
    out_.ops.push_back(std::move(made));
  }

  void describe(Draft& made, const nn::GraphNode& node) {
    const std::string& op = node.op;
    if (op == "input") return;
    if (op == "conv2d" || op == "dwconv2d" || op == "linear") return describe_layer(made, node);
    if (op == "max_pool" || op == "avg_pool" || op == "global_avg_pool") return describe_pool(made, node);
    if (op == "add") {
      made.node.op = OpKind::add;
      if (dynamic_cast<nn::Add*>(node.module) != nullptr)
        made.reader = node.module, made.slots = {"lhs_transform", "rhs_transform"};
    } else if (op == "concat") {
      made.node.op = OpKind::concat;
    } else if (op == "flatten") {
      made.node.op = OpKind::flatten;
    } else if (op == "relu" || op == "relu6") {
      made.node.op = OpKind::activation;
      made.node.act = activation_named(op);
    } else {
      fail(kWhere, fmt::format("op '{}' of '{}' has no integer form", op, node.path));
    }
  }

  void describe_layer(Draft& made, const nn::GraphNode& node) {
    const bool known = node.op == "linear" ? dynamic_cast<nn::Linear*>(node.module) != nullptr
                                           : dynamic_cast<nn::Conv2d*>(node.module) != nullptr;
    if (!known)
      fail(kWhere, fmt::format("a {} in '{}' is no layer of its own", node.op, node.path),
           "use nn::Conv2d or nn::Linear, which have slots");
    made.node.op = node.op == "dwconv2d" ? OpKind::dwconv2d : OpKind::conv2d;
    made.node.layer = made.reader = node.module;
    made.slots = {"input_transform"};
    const PlanNode& src = out_.ops[static_cast<std::size_t>(made.node.inputs.at(0))].node;
    const Shape& weight = node.parameters.at(0).shape();
    kernels::ConvGeometry& g = made.node.geometry;
    g.h = src.h, g.w = src.w, g.c = src.c, g.k = weight[0];
    if (node.op == "linear") return;
    g.r = weight[1], g.s = weight[2];
    g.stride_h = integer(node, "stride_h"), g.stride_w = integer(node, "stride_w");
    g.pad_h = integer(node, "pad_h"), g.pad_w = integer(node, "pad_w");
  }

  void describe_pool(Draft& made, const nn::GraphNode& node) {
    const PlanNode& src = out_.ops[static_cast<std::size_t>(made.node.inputs.at(0))].node;
    kernels::ConvGeometry& g = made.node.geometry;
    g.h = src.h, g.w = src.w, g.c = g.k = src.c;
    g.r = src.h, g.s = src.w;
    made.node.op = node.op == "max_pool" ? OpKind::max_pool : OpKind::avg_pool;
    if (node.op != "global_avg_pool") {
      g.r = integer(node, "window_h"), g.s = integer(node, "window_w");
      g.stride_h = integer(node, "stride_h"), g.stride_w = integer(node, "stride_w");
      g.pad_h = integer(node, "pad_h"), g.pad_w = integer(node, "pad_w");
    }
    const bool slotted = dynamic_cast<nn::AvgPool2d*>(node.module) != nullptr ||
                         dynamic_cast<nn::GlobalAvgPool*>(node.module) != nullptr;
    if (slotted) made.reader = node.module, made.slots = {"input_transform"};
  }

  /// The only reader of the value, or -1.
  int only_reader(int i) const {
    const auto& readers = readers_[static_cast<std::size_t>(i)];
    return readers.size() == 1 && i != graph_.output ? readers[0] : -1;
  }

  /// From now on node `next` makes the value of the draft in hand.
  void join(int next) {
    joined_[static_cast<std::size_t>(next)] = true;
    draft_of_[next] = static_cast<int>(out_.ops.size());
    last_ = next;
  }

  void join_batch_norm(Draft& made) {
    const int next = only_reader(last_);
    if (next < 0 || at(next).op != "affine_act" || at(next).inputs.at(0) != last_) return;
    auto* batch_norm = dynamic_cast<nn::BatchNorm2d*>(at(at(next).inputs.at(1)).module);
    if (batch_norm == nullptr) return;
    made.node.batch_norm = batch_norm;
    made.node.act = activation_named(std::get<std::string>(at(next).attributes.at("act")));
    join(next);
  }

  void join_activation(Draft& made) {
    if (made.node.act != Activation::none) return;
    const int next = only_reader(last_);
    if (next < 0 || (at(next).op != "relu" && at(next).op != "relu6")) return;
    made.node.act = activation_named(at(next).op);
    join(next);
  }

  const nn::Graph& graph_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> joined_;     ///< nodes that an earlier draft took in
  std::map<int, int> draft_of_;  ///< graph node → draft that makes its value
  int last_ = 0;                 ///< graph node that makes the value of the draft in hand
  UniqueNames names_;
  Drafts out_;
};

}  // namespace

std::string UniqueNames::next(const std::string& name) {
  std::string made = name;
  for (int copy = 2; std::find(used_.begin(), used_.end(), made) != used_.end(); ++copy)
    made = fmt::format("{}#{}", name, copy);
  used_.push_back(made);
  return made;
}

Drafts draft(const nn::Graph& graph) { return Drafter(graph).run(); }

}  // namespace octet::quant
