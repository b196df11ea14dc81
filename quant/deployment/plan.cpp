#include "quant/deployment/plan.h"

#include <algorithm>
#include <map>

#include "quant/deployment/draft.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {
namespace {

using engine::OpKind;
using engine::ValueType;
using kernels::Activation;
constexpr const char* kWhere = "convert";

/// A grid, or none for f32.
using Wish = std::optional<QuantParams>;

class Planner {
 public:
  Planner(const Drafts& drafts, Scheme scheme)
      : drafts_(drafts), wishes_(drafts.ops.size()), types_(drafts.ops.size()), integer_(drafts.ops.size()) {
    plan_.scheme = scheme;
  }

  Plan run() {
    wishes_[at(drafts_.output)].push_back(std::nullopt);
    for (std::size_t i = drafts_.ops.size(); i-- > 0;) decide(i);
    for (std::size_t i = 0; i < drafts_.ops.size(); ++i) emit(i);
    plan_.output = value(drafts_.output, std::nullopt, "output");
    return std::move(plan_);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  /// What the slot of input j rounds to; none when there is no slot or it is empty.
  Wish slot_grid(const Draft& op, std::size_t j) const {
    if (op.reader == nullptr || op.slots[j].empty()) return std::nullopt;
    const auto transform = op.reader->slot(op.slots[j]);
    if (transform == nullptr) return std::nullopt;
    const auto grid = transform->params();
    if (!grid)
      fail(kWhere, fmt::format("the quantizer of {}.{} has seen no data", op.node.name, op.slots[j]),
           "fine-tune, or run pictures in training mode, first");
    return grid;
  }

  /// The grid that all readers of a value want, or none.
  Wish common_wish(std::size_t i) const {
    const auto& all = wishes_[i];
    const bool equal = std::all_of(all.begin(), all.end(), [&](const Wish& wish) { return wish == all[0]; });
    return equal && !all.empty() ? all[0] : std::nullopt;
  }

  /// Readers come later in the order, so their wishes are known by now.
  void decide(std::size_t i) {
    const Draft& op = drafts_.ops[i];
    Wish out = common_wish(i);
    std::vector<Wish> in;
    for (std::size_t j = 0; j < op.node.inputs.size(); ++j) in.push_back(slot_grid(op, j));
    switch (op.node.op) {
      case OpKind::conv2d:
      case OpKind::dwconv2d:
        if (!in[0] || op.reader->slot("weight_transform") == nullptr)
          fail(kWhere,
               fmt::format("{} has no quantizers, and the engine has no f32 {}", op.node.name,
                           engine::name_of(op.node.op)),
               "prepare() the model, with this kind of layer among quantizable_layer_type");
        integer_[i] = true;
        break;
      case OpKind::add:
      case OpKind::avg_pool:
        integer_[i] = out && std::all_of(in.begin(), in.end(), [](const Wish& wish) { return wish.has_value(); });
        break;
      case OpKind::max_pool:
      case OpKind::concat:
      case OpKind::flatten:
        // Scheme paddle pools and joins floats, as the tutorial's deployment does.
        integer_[i] = out && (plan_.scheme != Scheme::paddle || op.node.op == OpKind::flatten);
        if (integer_[i]) in.assign(in.size(), out);
        break;
      default:
        break;  // the picture and activations on their own are f32
    }
    if (!integer_[i]) out = std::nullopt;
    types_[i] = out;
    for (std::size_t j = 0; j < in.size(); ++j) wishes_[at(op.node.inputs[j])].push_back(in[j]);
    read_.insert_or_assign(i, std::move(in));
  }

  int push(PlanNode node, const Wish& type) {
    node.type.is_codes = type.has_value();
    if (type) node.type.grid = *type;
    node.name = names_.next(node.name);
    plan_.nodes.push_back(std::move(node));
    return static_cast<int>(plan_.nodes.size()) - 1;
  }

  void emit(std::size_t i) {
    const Draft& op = drafts_.ops[i];
    PlanNode node = op.node;
    for (std::size_t j = 0; j < node.inputs.size(); ++j) {
      const std::string slot = op.slots[j].empty() ? (node.inputs.size() == 1 ? "input" : fmt::format("input{}", j))
                                                   : op.slots[j].substr(0, op.slots[j].find('_'));
      int from = value(node.inputs[j], read_[i][j], node.name + "." + slot);
      // A float op behind a slot reads what the quantizer left of its input.
      if (!integer_[i] && read_[i][j]) from = dequantized(from);
      node.inputs[j] = from;
    }
    if (node.op == OpKind::add && !types_[i] && node.act != Activation::none) {
      PlanNode act = node;
      act.op = OpKind::activation, act.layer = nullptr, act.name += std::string(".") + kernels::name_of(node.act);
      node.act = Activation::none;
      act.inputs = {push(node, std::nullopt)};
      made_.push_back(push(act, std::nullopt));
      return;
    }
    made_.push_back(push(std::move(node), types_[i]));
  }

  /// The node that holds the value of a draft as `wish`; `reader` names a quantize node where one is needed.
  int value(int draft, const Wish& wish, const std::string& reader) {
    const int made = made_[at(draft)];
    const ValueType type = plan_.nodes[at(made)].type;
    if (type.is_codes) return wish ? made : dequantized(made);
    if (!wish) return made;
    for (std::size_t k = at(made); k < plan_.nodes.size(); ++k) {
      const PlanNode& other = plan_.nodes[k];
      if (other.op == OpKind::quantize && other.inputs[0] == made && other.type.grid == *wish)
        return static_cast<int>(k);
    }
    return push(conversion(OpKind::quantize, made, reader), wish);
  }

  int dequantized(int made) {
    for (std::size_t k = at(made); k < plan_.nodes.size(); ++k)
      if (plan_.nodes[k].op == OpKind::dequantize && plan_.nodes[k].inputs[0] == made) return static_cast<int>(k);
    return push(conversion(OpKind::dequantize, made, plan_.nodes[at(made)].name + ".dequantize"), std::nullopt);
  }

  PlanNode conversion(OpKind op, int from, std::string name) const {
    const PlanNode& src = plan_.nodes[at(from)];
    PlanNode node;
    node.op = op, node.name = std::move(name), node.inputs = {from};
    node.h = src.h, node.w = src.w, node.c = src.c;
    return node;
  }

  const Drafts& drafts_;
  std::vector<std::vector<Wish>> wishes_;  ///< per draft, of its readers
  std::vector<Wish> types_;
  std::vector<bool> integer_;                      ///< computes on codes
  std::map<std::size_t, std::vector<Wish>> read_;  ///< per draft, how it reads its inputs
  std::vector<int> made_;                          ///< per draft, its plan node
  UniqueNames names_;
  Plan plan_;
};

}  // namespace

Plan make_plan(nn::Module& model, const Shape& shape, const QuantConfig& config) {
  return Planner(draft(nn::trace(model, shape)), config.scheme).run();
}

FoldedLayer fold_node(const Plan& plan, const PlanNode& node) {
  OCTET_CHECK(is_layer(node.op), kWhere, "{} has no weights to fold", node.name);
  const NoGrad no_grad;
  FoldInput in;
  in.weight = nn::effective_weight_of(*node.layer).value();
  if (const Variable bias = nn::folded_bias_of(*node.layer); bias.defined()) in.bias = bias.value();
  if (node.batch_norm != nullptr) {
    nn::BatchNorm2d& bn = *node.batch_norm;
    in.affine = ops::batchnorm_affine({}, bn.gamma, bn.beta, bn.state, false, bn.folds_while_training()).value();
  }
  const FakeQuantizer* quantizer = quantizer_in(*node.layer, "weight_transform");
  OCTET_CHECK(quantizer != nullptr, kWhere, "{}: the weight's transform is no fake quantizer", node.name);
  const auto weight_grid = quantizer->params_for(in.weight);
  OCTET_CHECK(weight_grid.has_value(), kWhere, "{}: the weight's quantizer has no grid yet", node.name);
  in.weight_grid = *weight_grid;
  in.input_grid = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.grid;
  if (node.type.is_codes) in.output_grid = node.type.grid;
  in.float_bias = plan.scheme == Scheme::paddle;
  FoldedLayer folded = fold(in, node.name);
  if (in.weight.shape().rank() == 2)
    folded.codes = folded.codes.reshape({in.weight.shape()[0], 1, 1, in.weight.shape()[1]});
  return folded;
}

CodeBounds bounds_of(const QuantParams& grid, kernels::Activation act) {
  CodeBounds bounds{grid.lo, grid.hi};
  if (act != Activation::none) bounds.lo = std::max(bounds.lo, grid.zero_point);
  if (act == Activation::relu6) bounds.hi = std::min(bounds.hi, grid.quantize(6.0f));
  return bounds;
}

}  // namespace octet::quant
