// Reverse-mode automatic differentiation over eager graph nodes. A Variable is a shared node: a value, its gradient,
// and how it came about. The "tape" is the topological sort that backward() makes.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/quant_params.h"
#include "core/tensor.h"

namespace octet {

/// Attributes of a recorded operation (stride, window, activation …), for the traced graph. A list given while no RecordGuard
/// lives is dropped: a training step has no use for it.
using Attribute = std::variant<std::int64_t, double, std::string>;
class Attributes : public std::map<std::string, Attribute> {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<value_type> list);
};

/// Gradients for the inputs, in order; undefined for inputs whose `needs` is false, or where it is zero throughout.
/// Pure: reads what it captured (tensors, never variables) and may hand out d_dst itself, to several inputs too.
using BackwardFn = std::function<std::vector<Tensor>(const Tensor& d_dst, const std::vector<bool>& needs)>;

struct Node;

/// Copying shares the node. Undefined by default.
class Variable {
 public:
  Variable() = default;
  /// A leaf. Gradients of leaves accumulate over backward() calls until zero_grad().
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return node_ != nullptr; }
  const Tensor& value() const;
  Tensor& value();
  const Shape& shape() const { return value().shape(); }
  /// Undefined until a backward() reached this leaf.
  const Tensor& grad() const;
  void zero_grad();
  bool requires_grad() const;
  /// Shared node: identity of this variable (used to tell parameters apart and to walk a recorded graph).
  const std::shared_ptr<Node>& node() const { return node_; }

  /// Backpropagates from this scalar (one element), or from `d_self` of the same shape. Interior nodes free what they
  /// saved as they are passed: a second backward() over them throws Error.
  void backward(const Tensor& d_self = {}) const;

 private:
  friend Variable record(std::string_view, Attributes, std::vector<Variable>, Tensor, BackwardFn);
  std::shared_ptr<Node> node_;
};

struct Node {
  Node() = default;
  ~Node();
  Node(const Node&) = delete;

  Tensor value;
  Tensor grad;
  bool requires_grad = false;
  // Below: empty for leaves, and for results computed while nothing needed a record.
  std::string_view op;
  Attributes attributes;
  std::vector<Variable> inputs;
  BackwardFn backward;
  bool released = false;         ///< backward() has passed and freed what was saved
  const void* module = nullptr;  ///< innermost scope at recording time (nn::Module*), see ScopeGuard
};

/// Makes the result of an operation. Keeps inputs and `backward` only when gradients are enabled and an input needs
/// one; while a RecordGuard lives, keeps op, attributes and inputs in any case. `op` must live as long as the program.
Variable record(std::string_view op, Attributes attributes, std::vector<Variable> inputs, Tensor value,
                BackwardFn backward);

/// Are gradients being recorded on this thread?
bool grad_enabled();
/// While one lives, operations on this thread record nothing for backward.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;

 private:
  bool before_;
};

/// While one lives, every result on this thread keeps its op, attributes, inputs and scope, gradients or not: that is
/// what nn::trace() walks.
class RecordGuard {
 public:
  RecordGuard();
  ~RecordGuard();
  RecordGuard(const RecordGuard&) = delete;
  static bool active();

 private:
  bool before_;
};

/// Marks the innermost module while its forward runs, so that recorded nodes, and profiles, know where they belong.
class ScopeGuard {
 public:
  explicit ScopeGuard(const void* module);
  ~ScopeGuard();
  ScopeGuard(const ScopeGuard&) = delete;

 private:
  const void* before_;
  bool profiled_;
};

}  // namespace octet
