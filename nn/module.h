// Modules: named parameters and state, children, train and eval mode, and slots for transforms.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/autograd.h"

namespace octet::nn {

class Transform;

/// Base of layers and models. Hold modules by std::shared_ptr. Parameters are Variables that need gradients; buffers are
/// tensors that are saved but not trained (running statistics, observer state). Names are joined with dots:
/// "blocks.0.dw.conv.weight".
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module();

  /// The kind, for summaries and messages: "Conv2d".
  virtual std::string kind() const = 0;
  /// One tensor in, one out. Modules with other signatures (Add, Concat) throw Error here.
  virtual Variable forward(const Variable& src);
  /// forward() within this module's scope: recorded nodes carry it (ScopeGuard).
  Variable operator()(const Variable& src);

  using NamedParameters = std::vector<std::pair<std::string, Variable>>;
  using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
  using NamedModules = std::vector<std::pair<std::string, Module*>>;
  /// In order of registration, depth first; a parameter shared by two modules is listed once, under its first name.
  NamedParameters named_parameters() const;
  std::vector<Variable> parameters() const;
  NamedTensors named_buffers() const;
  /// This module ("") and every descendant once.
  NamedModules named_modules() const;
  /// Direct children, slots included.
  const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& children() const { return children_; }

  /// Parameters and buffers, sharing memory.
  NamedTensors state() const;
  /// Copies tensors by name into parameters and buffers. Throws Error naming the first missing, unexpected or wrongly shaped
  /// tensor, and then changes nothing.
  void load_state(const NamedTensors& state);

  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  void zero_grad();
  /// Where the parameters lie; cpu when there are none.
  Device device() const;
  /// Σ numel of the parameters.
  std::int64_t parameter_count() const;

  /// Slots of this kind of module: names that set_slot() accepts ("input_transform", "weight_transform", …).
  virtual std::vector<std::string> slot_names() const { return {}; }
  /// Puts a transform into a slot (null empties it); it becomes a child under the slot's name, so that its thresholds
  /// reach optimizer and checkpoint. Throws Error on an unknown slot.
  void set_slot(const std::string& name, std::shared_ptr<Transform> transform);
  /// Null when empty or no such slot.
  std::shared_ptr<Transform> slot(const std::string& name) const;

 protected:
  /// Called when train()/eval() changes the mode.
  virtual void on_mode_change() {}
  Variable register_parameter(const std::string& name, Tensor value);
  Tensor register_buffer(const std::string& name, Tensor value);
  /// On a device of its own, whatever DeviceScope says.
  Tensor register_buffer(const std::string& name, Tensor value, Device device);
  template <class M>
  std::shared_ptr<M> register_module(const std::string& name, std::shared_ptr<M> module) {
    add_child(name, module);
    return module;
  }
  /// Forgets this module's own parameters and buffers (their tensors live on with their holders).
  void unregister_state();
  /// slot(name)->apply(x), or x when the slot is empty or bypassed (see TransformBypass).
  Variable through_slot(const std::string& name, const Variable& x) const;

 private:
  void add_child(const std::string& name, std::shared_ptr<Module> child);
  std::vector<std::pair<std::string, Variable>> parameters_;
  std::vector<std::pair<std::string, Tensor>> buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true;
};

/// While one lives, a model is in evaluation mode; then each module is in the mode that it was in, whatever happens.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& model);
  ~EvaluationMode();
  EvaluationMode(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> before_;
};

/// While one lives, modules made on this thread keep their parameters and buffers on `device`.
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;

 private:
  Device before_;
};

/// While one lives, slots on this thread pass tensors through untouched: the pure float net (nn::trace, fp32 export).
class TransformBypass {
 public:
  TransformBypass();
  ~TransformBypass();
  TransformBypass(const TransformBypass&) = delete;
  static bool active();

 private:
  bool before_;
};

}  // namespace octet::nn
