#include "optim/checkpoint.h"

#include <charconv>
#include <cmath>
#include <map>

#include "core/safetensors.h"

namespace octet::optim {
namespace {

constexpr const char* kKind = "octet.kind";
constexpr const char* kVelocity = "velocity.";
constexpr const char* kMethod = "method.";

// The whole text as a number, in any locale.
template <class T>
bool parsed(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stopped == end;
}

std::int64_t integer(const TensorFile& file, const char* key) {
  const std::string& text = file.meta(key);
  std::int64_t value = 0;
  OCTET_CHECK(parsed(text, value) && value >= 0, "checkpoint", "'{}': '{}' is '{}', not a count", file.name, key, text);
  return value;
}

double real(const TensorFile& file, const char* key) {
  const std::string& text = file.meta(key);
  double value = 0;
  OCTET_CHECK(parsed(text, value) && std::isfinite(value), "checkpoint", "'{}': '{}' is '{}', not a number", file.name,
              key, text);
  return value;
}

void require_kind(const TensorFile& file, const char* kind, const char* what) {
  const auto at = file.metadata.find(kKind);
  OCTET_CHECK(at != file.metadata.end() && at->second == kind, "load", "'{}' is no {} of octet", file.name, what);
}

/// What the file has for each tensor of the methods, in their order.
std::vector<Tensor> fitting(const nn::Module::NamedTensors& methods, const std::map<std::string, Tensor>& given,
                            const std::string& path) {
  OCTET_CHECK(given.size() == methods.size(), "resume", "'{}' has {} tensors of training methods, {} expected", path,
              given.size(), methods.size());
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : methods) {
    const auto at = given.find(name);
    OCTET_CHECK(at != given.end() && at->second.shape() == tensor.shape() && at->second.dtype() == tensor.dtype(),
                "resume", "'{}' has no '{}' {} {} of a training method", path, name, name_of(tensor.dtype()),
                tensor.shape().str());
    all.push_back(at->second);
  }
  return all;
}

}  // namespace

void save_checkpoint(const std::string& path, const std::string& tag, const nn::Module& model,
                     const Momentum& optimizer, const Position& position, const nn::Module::NamedTensors& methods) {
  NamedTensors tensors = model.state();
  for (const auto& entry : optimizer.state()) tensors.push_back(entry);
  for (const auto& [name, tensor] : methods) tensors.emplace_back(kMethod + name, tensor);
  write_safetensors(path, tensors,
                    {{kKind, "checkpoint"},
                     {"octet.tag", tag},
                     {"octet.epoch", std::to_string(position.epoch)},
                     {"octet.batch", std::to_string(position.batch)},
                     {"octet.step", std::to_string(position.step)},
                     {"octet.loss_sum", fmt::format("{}", position.scores.loss_sum)},
                     {"octet.pictures", std::to_string(position.scores.pictures)},
                     {"octet.top1_hits", std::to_string(position.scores.top1_hits)},
                     {"octet.top5_hits", std::to_string(position.scores.top5_hits)}});
}

Position load_checkpoint(const std::string& path, const std::string& tag, nn::Module& model, Momentum& optimizer,
                         const nn::Module::NamedTensors& methods) {
  const TensorFile file = read_safetensors(path, {.copy = true, .require_checksum = true});
  require_kind(file, "checkpoint", "checkpoint");
  OCTET_CHECK(file.meta("octet.tag") == tag, "resume",
              "'{}' belongs to other options ('{}', now '{}') ---> HINT resume with the options it began with, or use "
              "another --out",
              path, file.meta("octet.tag"), tag);
  Position position{integer(file, "octet.epoch"), integer(file, "octet.batch"), integer(file, "octet.step"), {}};
  position.scores = {real(file, "octet.loss_sum"), integer(file, "octet.pictures"), integer(file, "octet.top1_hits"),
                     integer(file, "octet.top5_hits")};
  NamedTensors state, velocities;
  std::map<std::string, Tensor> given;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(kMethod))
      given.emplace(name.substr(std::string_view(kMethod).size()), tensor);
    else
      (name.starts_with(kVelocity) ? velocities : state).emplace_back(name, tensor);
  }
  const std::vector<Tensor> of_methods = fitting(methods, given, path);
  // Each of the two changes only when all fits it; when the second refuses, the first gets back what it had.
  nn::Module::NamedTensors before;
  for (const auto& [name, tensor] : model.state()) before.emplace_back(name, tensor.clone());
  model.load_state(state);
  try {
    optimizer.load_state(velocities);
  } catch (...) {
    model.load_state(before);
    throw;
  }
  for (std::size_t i = 0; i < methods.size(); ++i) Tensor(methods[i].second).copy_from(of_methods[i]);
  return position;
}

std::string checkpoint_tag(const std::string& path) {
  const TensorFile file = read_safetensors(path, {.copy = false, .require_checksum = true});
  require_kind(file, "checkpoint", "checkpoint");
  return file.meta("octet.tag");
}

void save_model(const std::string& path, const nn::Module& model, const std::map<std::string, std::string>& notes) {
  Metadata metadata(notes);
  metadata[kKind] = "model";
  write_safetensors(path, model.state(), metadata);
}

std::map<std::string, std::string> load_model(const std::string& path, nn::Module& model) {
  TensorFile file = read_safetensors(path);
  require_kind(file, "model", "model");
  try {
    model.load_state(file.tensors);
  } catch (const Error& error) {
    fail("load", fmt::format("'{}' does not fit the model: {}", path, error.what()));
  }
  file.metadata.erase(kKind);
  return file.metadata;
}

}  // namespace octet::optim
