#include "quant/compare.h"

#include <algorithm>
#include <cstring>

namespace octet::quant {
namespace {

constexpr const char* kWhere = "code_mismatches";

std::int64_t differing(const Tensor& a, const Tensor& b) {
  const std::size_t bytes = size_of(a.dtype());
  const auto* x = static_cast<const char*>(a.raw());
  const auto* y = static_cast<const char*>(b.raw());
  if (std::memcmp(x, y, a.nbytes()) == 0) return 0;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a.nbytes(); i += bytes) count += std::memcmp(x + i, y + i, bytes) != 0;
  return count;
}

}  // namespace

std::int64_t CodeMismatches::total() const {
  std::int64_t sum = 0;
  for (const LayerMismatch& layer : layers) sum += layer.differing;
  return sum;
}

void CodeMismatches::add(const CodeMismatches& batch) {
  if (layers.empty()) layers = batch.layers;
  else {
    OCTET_CHECK(layers.size() == batch.layers.size(), kWhere, "{} layers and {} layers are not of one net", layers.size(), batch.layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      OCTET_CHECK(layers[i].name == batch.layers[i].name, kWhere, "layers '{}' and '{}' are not of one net", layers[i].name, batch.layers[i].name);
      layers[i].differing += batch.layers[i].differing;
      layers[i].elements += batch.layers[i].elements;
    }
  }
}

std::string CodeMismatches::str() const {
  std::string text;
  for (const LayerMismatch& layer : layers)
    if (layer.differing != 0) text += fmt::format("{}: {} of {} differ\n", layer.name, layer.differing, layer.elements);
  return text;
}

CodeMismatches code_mismatches(const NamedTensors& simulator, const NamedTensors& engine) {
  OCTET_CHECK(simulator.size() == engine.size(), kWhere, "the simulator has {} values, the engine {}", simulator.size(), engine.size());
  CodeMismatches all;
  for (const auto& [name, value] : simulator) {
    const auto other = std::find_if(engine.begin(), engine.end(), [&, &wanted = name](const auto& entry) { return entry.first == wanted; });
    OCTET_CHECK(other != engine.end(), kWhere, "the engine has no value '{}'", name);
    OCTET_CHECK(other->second.dtype() == value.dtype() && other->second.shape() == value.shape(), kWhere,
                "'{}' is {} {} in the simulator, {} {} in the engine", name, name_of(value.dtype()), value.shape().str(),
                name_of(other->second.dtype()), other->second.shape().str());
    all.layers.push_back({name, differing(value, other->second), value.numel()});
  }
  return all;
}

}  // namespace octet::quant
