#include "nn/module.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "nn/transform.h"

namespace octet::nn {
namespace {

thread_local bool bypassed = false;
thread_local Device t_device = Device::cpu;

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

// Visits a module and its descendants once each, depth first, with dotted names.
template <class Visit>
void walk(const Module& module, const std::string& name, std::unordered_set<const Module*>& seen, const Visit& visit) {
  if (!seen.insert(&module).second) return;
  visit(name, module);
  for (const auto& [child_name, child] : module.children()) walk(*child, joined(name, child_name), seen, visit);
}

template <class Visit>
void walk(const Module& module, const Visit& visit) {
  std::unordered_set<const Module*> seen;
  walk(module, "", seen, visit);
}

}  // namespace

Module::~Module() = default;

Variable Module::forward(const Variable&) {
  fail("nn", fmt::format("{} does not take one tensor", kind()), "call it with the arguments of its operator()");
}

Variable Module::operator()(const Variable& src) {
  ScopeGuard scope(this);
  return forward(src);
}

Module::NamedParameters Module::named_parameters() const {
  NamedParameters all;
  std::unordered_set<const Node*> seen;
  walk(*this, [&](const std::string& name, const Module& m) {
    for (const auto& [own, variable] : m.parameters_)
      if (seen.insert(variable.node().get()).second) all.emplace_back(joined(name, own), variable);
  });
  return all;
}

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> all;
  for (const auto& [name, variable] : named_parameters()) all.push_back(variable);
  return all;
}

Module::NamedTensors Module::named_buffers() const {
  NamedTensors all;
  walk(*this, [&](const std::string& name, const Module& m) {
    for (const auto& [own, tensor] : m.buffers_) all.emplace_back(joined(name, own), tensor);
  });
  return all;
}

Module::NamedModules Module::named_modules() const {
  NamedModules all;
  walk(*this, [&](const std::string& name, const Module& m) { all.emplace_back(name, const_cast<Module*>(&m)); });
  return all;
}

Module::NamedTensors Module::state() const {
  NamedTensors all;
  for (const auto& [name, variable] : named_parameters()) all.emplace_back(name, variable.value());
  for (const auto& entry : named_buffers()) all.push_back(entry);
  return all;
}

void Module::load_state(const NamedTensors& given) {
  std::unordered_map<std::string, const Tensor*> by_name;
  for (const auto& [name, tensor] : given)
    OCTET_CHECK(by_name.emplace(name, &tensor).second, "load_state", "tensor '{}' is given twice", name);
  NamedTensors own = state();
  std::unordered_set<std::string> known;
  for (const auto& [name, tensor] : own) {
    known.insert(name);
    const auto at = by_name.find(name);
    OCTET_CHECK(at != by_name.end(), "load_state", "tensor '{}' ({}) is missing", name, tensor.shape().str());
    const Tensor& source = *at->second;
    OCTET_CHECK(source.defined() && source.shape() == tensor.shape() && source.dtype() == tensor.dtype(), "load_state",
                "tensor '{}' is {} {}, the model expects {} {}", name, source.shape().str(), name_of(source.dtype()),
                tensor.shape().str(), name_of(tensor.dtype()));
  }
  for (const auto& [name, tensor] : given)
    OCTET_CHECK(known.contains(name), "load_state", "unexpected tensor '{}': the model has none of that name", name);
  for (auto& [name, tensor] : own) tensor.copy_from(*by_name.at(name));
}

void Module::train(bool on) {
  walk(*this, [&](const std::string&, const Module& m) {
    Module& module = const_cast<Module&>(m);
    if (module.training_ == on) return;
    module.training_ = on;
    module.on_mode_change();
  });
}

void Module::zero_grad() {
  for (auto& variable : parameters()) variable.zero_grad();
}

Device Module::device() const {
  const auto all = parameters();
  return all.empty() ? Device::cpu : all.front().value().device();
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& variable : parameters()) count += variable.value().numel();
  return count;
}

void Module::set_slot(const std::string& name, std::shared_ptr<Transform> transform) {
  const auto names = slot_names();
  OCTET_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "set_slot", "a {} has no slot '{}'", kind(),
              name);
  const auto place =
      std::find_if(children_.begin(), children_.end(), [&](const auto& child) { return child.first == name; });
  if (transform != nullptr) transform->train(training_);
  if (place == children_.end()) {
    if (transform != nullptr) children_.emplace_back(name, std::move(transform));
  } else if (transform == nullptr) {
    children_.erase(place);
  } else {
    place->second = std::move(transform);  // the order of parameters stays
  }
}

std::shared_ptr<Transform> Module::slot(const std::string& name) const {
  for (const auto& [own, child] : children_)
    if (own == name) return std::dynamic_pointer_cast<Transform>(child);
  return nullptr;
}

Variable Module::through_slot(const std::string& name, const Variable& x) const {
  if (TransformBypass::active()) return x;
  const auto transform = slot(name);
  return transform == nullptr ? x : transform->apply(x);
}

Variable Module::register_parameter(const std::string& name, Tensor value) {
  Variable variable(value.to(t_device), true);
  parameters_.emplace_back(name, variable);
  return variable;
}

Tensor Module::register_buffer(const std::string& name, Tensor value) {
  return register_buffer(name, std::move(value), t_device);
}

Tensor Module::register_buffer(const std::string& name, Tensor value, Device device) {
  value = value.to(device);
  buffers_.emplace_back(name, value);
  return value;
}

void Module::unregister_state() {
  parameters_.clear();
  buffers_.clear();
}

void Module::add_child(const std::string& name, std::shared_ptr<Module> child) {
  OCTET_CHECK(child != nullptr, "nn", "module '{}' of a {} is null", name, kind());
  children_.emplace_back(name, std::move(child));
}

EvaluationMode::EvaluationMode(Module& model) {
  for (const auto& [name, module] : model.named_modules()) before_.emplace_back(module, module->is_training());
  model.eval();
}
EvaluationMode::~EvaluationMode() {
  for (const auto& [module, training] : before_)
    module->train(training);  // parents first, so the last word is a module's own
}

DeviceScope::DeviceScope(Device device) : before_(std::exchange(t_device, device)) {}
DeviceScope::~DeviceScope() { t_device = before_; }

TransformBypass::TransformBypass() : before_(bypassed) { bypassed = true; }
TransformBypass::~TransformBypass() { bypassed = before_; }
bool TransformBypass::active() { return bypassed; }

}  // namespace octet::nn
