// Solutions of lesson 8 (docs/course/08-deploy.md). Tests check them: ctest -R Solution08.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/safetensors.h"
#include "quant/engine/graph.h"

namespace octet::solution_08 {

/// Exercise 1. A code of one byte for each weight, a step and a bias of four for each output channel.
inline std::size_t bytes_of_tensors(const engine::Graph& graph) {
  std::size_t bytes = 0;
  for (const engine::GraphNode& node : graph.nodes)
    if (engine::is_layer(node.op)) bytes += static_cast<std::size_t>(node.weight.numel() + 8 * node.geometry.k);
  return bytes;
}

/// Exercise 2. ONNX rounds, adds the zero point and saturates; Octet clamps first. For whole bounds it is the same for every
/// number: rounding keeps order, and leaves lo − z and hi − z where they are. NaN is the exception: Octet gives z, ONNX does
/// not say, and this function must not be asked.
inline std::int32_t onnx_quantize(float x, float s, std::int32_t z, std::int32_t lo, std::int32_t hi) {
  return static_cast<std::int32_t>(
      std::clamp(std::nearbyint(x / s) + static_cast<float>(z), static_cast<float>(lo), static_cast<float>(hi)));
}

/// Exercise 3. Values come in the order of the net, so the first one that differs is where to look. "" when none does.
inline std::string first_difference(const NamedTensors& a, const NamedTensors& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &left = a[i].second, &right = b[i].second;
    if (left.nbytes() != right.nbytes() || std::memcmp(left.raw(), right.raw(), left.nbytes()) != 0) return a[i].first;
  }
  return "";
}

}  // namespace octet::solution_08
