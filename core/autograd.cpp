#include "core/autograd.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/gpu/gpu.h"
#include "core/parallel.h"
#include "core/profile.h"

namespace octet {
namespace {

thread_local bool t_grad_enabled = true;
thread_local bool t_recording = false;
thread_local const void* t_scope = nullptr;

constexpr const char* kWhere = "autograd";

/// A node on its way through backward(), with the sum of the gradients that reached it so far.
struct Step {
  std::shared_ptr<Node> node;
  Tensor grad;
};

template <class T>
void sum_of(const Tensor& a, const Tensor& b, Tensor& to) {
  constexpr std::int64_t kTask = 1 << 15;
  const T* x = a.data<T>();
  const T* y = b.data<T>();
  T* dst = to.data<T>();
  const std::int64_t count = to.numel();
  parallel_for((count + kTask - 1) / kTask, [&](std::int64_t task) {
    const std::int64_t end = std::min(count, (task + 1) * kTask);
    for (std::int64_t i = task * kTask; i < end; ++i) dst[i] = x[i] + y[i];
  });
}

/// total += part. A closure may hand the same memory to several inputs, so nothing is written into unless this handle
/// is its only owner.
void accumulate(Tensor& total, Tensor part) {
  if (!total.defined()) {
    total = std::move(part);
    return;
  }
  Tensor& to = total.sole_owner() ? total : part;
  Tensor fresh = to.sole_owner() ? to : Tensor(total.shape(), total.dtype(), total.device());
  if (total.device() == Device::cuda) {
    OCTET_CHECK(total.dtype() == DType::f32, kWhere, "gradients of {} on the device cannot be added",
                name_of(total.dtype()));
    gpu::sum(static_cast<float*>(fresh.raw()), static_cast<const float*>(total.raw()),
             static_cast<const float*>(part.raw()), static_cast<std::size_t>(total.numel()));
  } else if (total.dtype() == DType::f32) {
    sum_of<float>(total, part, fresh);
  } else {
    sum_of<double>(total, part, fresh);
  }
  total = std::move(fresh);
}

/// Adds to the gradient of a leaf, which outlives this pass and must therefore own its memory alone.
void accumulate_leaf(Node& leaf, Tensor part) {
  if (!leaf.grad.defined() && !part.sole_owner()) part = part.clone();
  accumulate(leaf.grad, std::move(part));
}

void check_gradient(const Tensor& grad, const Tensor& value, std::string_view op, std::size_t input) {
  OCTET_CHECK(grad.shape() == value.shape() && grad.dtype() == value.dtype(), kWhere,
              "{} returned a gradient of {} {} for input {}, which is {} {}", op, name_of(grad.dtype()),
              grad.shape().str(), input, name_of(value.dtype()), value.shape().str());
  OCTET_CHECK(grad.device() == value.device(), kWhere, "{} returned a gradient on {} for input {} on {}", op,
              name_of(grad.device()), input, name_of(value.device()));
}

/// Every node that needs a gradient and that `root` depends on, inputs before users (depth first, inputs in order). An
/// explicit stack: graphs may be deeper than the call stack.
std::vector<Step> sorted(const std::shared_ptr<Node>& root, std::unordered_map<const Node*, std::size_t>& position) {
  std::vector<Step> order;
  std::vector<std::pair<std::shared_ptr<Node>, std::size_t>> stack{{root, 0}};
  position.emplace(root.get(), 0);
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (node->released) {
      fail(kWhere,
           fmt::format("backward() reached {} ({}), which an earlier backward() has already passed and freed", node->op,
                       node->value.shape().str()),
           "run the forward pass again, or add the losses up and call backward() once");
    }
    if (next < node->inputs.size()) {
      const std::shared_ptr<Node>& input = node->inputs[next++].node();
      if (input->requires_grad && position.emplace(input.get(), 0).second) stack.emplace_back(input, 0);
      continue;
    }
    position[node.get()] = order.size();
    order.push_back({node, {}});
    stack.pop_back();
  }
  return order;
}

}  // namespace

Node::~Node() {
  // A long chain would otherwise be destroyed by as deep a recursion.
  std::vector<Variable> pending = std::move(inputs);
  while (!pending.empty()) {
    std::shared_ptr<Node> node = pending.back().node();
    pending.pop_back();
    if (node.use_count() != 1) continue;
    pending.insert(pending.end(), node->inputs.begin(), node->inputs.end());
    node->inputs.clear();
  }
}

Variable::Variable(Tensor value, bool requires_grad) : node_(std::make_shared<Node>()) {
  OCTET_CHECK(value.defined(), kWhere, "a variable needs a defined tensor");
  OCTET_CHECK(!requires_grad || value.dtype() == DType::f32 || value.dtype() == DType::f64, kWhere,
              "a gradient needs f32 or f64, the tensor is {} {}", name_of(value.dtype()), value.shape().str());
  node_->value = std::move(value);
  node_->requires_grad = requires_grad;
}

const Tensor& Variable::value() const {
  OCTET_CHECK(defined(), kWhere, "this variable is undefined");
  return node_->value;
}

Tensor& Variable::value() {
  OCTET_CHECK(defined(), kWhere, "this variable is undefined");
  return node_->value;
}

const Tensor& Variable::grad() const {
  OCTET_CHECK(defined(), kWhere, "this variable is undefined");
  return node_->grad;
}

void Variable::zero_grad() {
  OCTET_CHECK(defined(), kWhere, "this variable is undefined");
  node_->grad = {};
}

bool Variable::requires_grad() const { return defined() && node_->requires_grad; }

void Variable::backward(const Tensor& d_self) const {
  const Tensor& self = value();
  if (!requires_grad()) {
    fail(kWhere,
         fmt::format("backward() from a result ({}) that depends on nothing that needs a gradient", self.shape().str()),
         "was it computed under NoGrad?");
  }
  OCTET_CHECK(d_self.defined() || self.numel() == 1, kWhere,
              "backward() without a gradient starts at one element, this has shape {}", self.shape().str());
  OCTET_CHECK(!d_self.defined() || (d_self.shape() == self.shape() && d_self.dtype() == self.dtype()), kWhere,
              "d_self is {} {}, the variable {} {}", name_of(d_self.dtype()), d_self.shape().str(),
              name_of(self.dtype()), self.shape().str());
  OCTET_CHECK(!d_self.defined() || d_self.device() == self.device(), kWhere, "d_self lies on {}, the variable on {}",
              name_of(d_self.device()), name_of(self.device()));

  std::unordered_map<const Node*, std::size_t> position;
  std::vector<Step> order = sorted(node_, position);
  order.back().grad = d_self.defined() ? d_self : Tensor::full(self.shape(), 1.0, self.dtype(), self.device());

  for (; !order.empty(); order.pop_back()) {
    Node& node = *order.back().node;
    Tensor grad = std::move(order.back().grad);
    if (!node.backward) {
      if (grad.defined()) accumulate_leaf(node, std::move(grad));
      continue;
    }
    // Nobody but this pass holds the node: then its result is needed by its own closure at most, which has it.
    if (order.back().node.use_count() == 1) node.value = {};
    if (grad.defined()) {
      const profile::Span span(profile::Kind::op, node.module, node.op);
      std::vector<bool> needs;
      for (const Variable& input : node.inputs) needs.push_back(input.requires_grad());
      std::vector<Tensor> grads = node.backward(grad, needs);
      grad = {};
      OCTET_CHECK(grads.size() == needs.size(), kWhere, "{} returned {} gradients for {} inputs", node.op, grads.size(),
                  needs.size());
      for (std::size_t i = 0; i < grads.size(); ++i) {
        if (!needs[i] || !grads[i].defined()) continue;
        check_gradient(grads[i], node.inputs[i].value(), node.op, i);
        accumulate(order[position.at(node.inputs[i].node().get())].grad, std::move(grads[i]));
      }
    }
    node.backward = nullptr;
    node.inputs.clear();
    node.released = true;
  }
}

Attributes::Attributes(std::initializer_list<value_type> list) {
  if (t_recording) insert(list.begin(), list.end());
}

Variable record(std::string_view op, Attributes attributes, std::vector<Variable> inputs, Tensor value,
                BackwardFn backward) {
  bool needs = false;
  for (const Variable& input : inputs) {
    OCTET_CHECK(input.defined(), kWhere, "{} was recorded with an undefined input", op);
    needs = needs || input.requires_grad();
  }
  needs = needs && t_grad_enabled && backward != nullptr;
  Variable result(std::move(value), needs);
  if (!needs && !t_recording) return result;
  Node& node = *result.node_;
  node.op = op;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  node.module = t_scope;
  if (needs) node.backward = std::move(backward);
  return result;
}

bool grad_enabled() { return t_grad_enabled; }

NoGrad::NoGrad() : before_(std::exchange(t_grad_enabled, false)) {}
NoGrad::~NoGrad() { t_grad_enabled = before_; }

RecordGuard::RecordGuard() : before_(std::exchange(t_recording, true)) {}
RecordGuard::~RecordGuard() { t_recording = before_; }
bool RecordGuard::active() { return t_recording; }

ScopeGuard::ScopeGuard(const void* module)
    : before_(std::exchange(t_scope, module)), profiled_(profile::on() && profile::enter_scope(module)) {}
ScopeGuard::~ScopeGuard() {
  if (profiled_) profile::leave_scope();
  t_scope = before_;
}

}  // namespace octet
