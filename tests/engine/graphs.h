// Small integer graphs for the tests of the engine.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "quant/engine/graph.h"

namespace octet::engine::test {

inline QuantParams onnx(float scale, std::int32_t zero_point, std::int32_t lo, std::int32_t hi) {
  return {{scale}, zero_point, lo, hi, -1, QuantRule::onnx};
}
inline QuantParams paddle(float threshold, std::int32_t hi) { return {{threshold}, 0, -hi, hi, -1, QuantRule::paddle}; }

struct Window {
  std::int64_t r = 1, s = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
};

/// Appends nodes, each with the extent that follows; returns their indices. Without a grid a value is f32.
class Builder {
 public:
  explicit Builder(std::int64_t h, std::int64_t w, std::int64_t c);
  int quantize(int from, const QuantParams& grid);
  int dequantize(int from);
  /// Weight K,R,S,C (depthwise C,R,S,1).
  int conv(int from, std::int64_t k, Window window, std::vector<int> weight, std::vector<float> step,
           std::optional<QuantParams> grid = {});
  int depthwise(int from, Window window, std::vector<int> weight, std::vector<float> step,
                std::optional<QuantParams> grid = {});
  int add(int a, int b, std::optional<QuantParams> grid = {});
  int concat(const std::vector<int>& from);
  int max_pool(int from, Window window);
  int avg_pool(int from, Window window, std::optional<QuantParams> grid = {});
  int flatten(int from);
  int activation(int from, kernels::Activation act);

  /// The graph with its last node as the output.
  Graph finish();
  GraphNode& at(int i) { return graph_.nodes[static_cast<std::size_t>(i)]; }

 private:
  int push(GraphNode node, std::optional<QuantParams> grid);
  GraphNode windowed(OpKind op, int from, std::int64_t k, Window window);
  int weighted(GraphNode node, const Shape& shape, const std::vector<int>& weight, std::vector<float> step,
               std::optional<QuantParams> grid);
  Graph graph_;
};

/// Pictures 6x5x3 to 4 logits through every op, in codes and in floats where both exist; random weights.
Graph every_op(QuantRule rule, std::uint32_t seed = 1);
Tensor random_pictures(std::int64_t n, const Graph& graph, std::uint32_t seed = 1);
GraphNode& named(Graph& graph, const std::string& name);

}  // namespace octet::engine::test
