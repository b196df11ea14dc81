#include "quant/analysis/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace octet::quant {
namespace {

constexpr const char* kWhere = "code_mismatches";

template <class T>
void count(const Tensor& a, const Tensor& b, LayerMismatch& layer) {
  const auto x = a.span<T>(), y = b.span<T>();
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::memcmp(&x[i], &y[i], sizeof(T)) == 0) continue;
    ++layer.differing;
    layer.largest = std::max(layer.largest, std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  }
}

LayerMismatch difference(const std::string& name, const Tensor& a, const Tensor& b) {
  LayerMismatch layer{name, 0, a.numel(), 0};
  if (std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0) return layer;
  switch (a.dtype()) {
    case DType::u8:
      count<std::uint8_t>(a, b, layer);
      break;
    case DType::s8:
      count<std::int8_t>(a, b, layer);
      break;
    case DType::f32:
      count<float>(a, b, layer);
      break;
    default:
      fail(kWhere, fmt::format("'{}' is {}: neither codes nor f32", name, name_of(a.dtype())));
  }
  return layer;
}

}  // namespace

std::int64_t CodeMismatches::total() const {
  std::int64_t sum = 0;
  for (const LayerMismatch& layer : layers) sum += layer.differing;
  return sum;
}

void CodeMismatches::add(const CodeMismatches& batch) {
  if (layers.empty())
    layers = batch.layers;
  else {
    OCTET_CHECK(layers.size() == batch.layers.size(), kWhere, "{} layers and {} layers are not of one net",
                layers.size(), batch.layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      OCTET_CHECK(layers[i].name == batch.layers[i].name, kWhere, "layers '{}' and '{}' are not of one net",
                  layers[i].name, batch.layers[i].name);
      layers[i].differing += batch.layers[i].differing;
      layers[i].elements += batch.layers[i].elements;
      layers[i].largest = std::max(layers[i].largest, batch.layers[i].largest);
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
  OCTET_CHECK(simulator.size() == engine.size(), kWhere, "the simulator has {} values, the engine {}", simulator.size(),
              engine.size());
  CodeMismatches all;
  for (const auto& [name, value] : simulator) {
    const auto other = std::find_if(engine.begin(), engine.end(),
                                    [&, &wanted = name](const auto& entry) { return entry.first == wanted; });
    OCTET_CHECK(other != engine.end(), kWhere, "the engine has no value '{}'", name);
    OCTET_CHECK(other->second.dtype() == value.dtype() && other->second.shape() == value.shape(), kWhere,
                "'{}' is {} {} in the simulator, {} {} in the engine", name, name_of(value.dtype()),
                value.shape().str(), name_of(other->second.dtype()), other->second.shape().str());
    all.layers.push_back(difference(name, value, other->second));
  }
  return all;
}

}  // namespace octet::quant
