// Which values of a traced net must share a quantizer, and what is known about them.
#pragma once
#include <string>
#include <vector>

#include "nn/graph.h"
#include "quant/config.h"

namespace octet::quant {

/// A slot of a layer that reads a value.
struct SlotRead {
  nn::Module* module = nullptr;
  std::string slot;
  int value = 0;  ///< graph node
};

/// A class of values: joined by ops that hand codes on (max pool, flatten, dropout, concat) and by slots that read
/// several values (a module run more than once).
struct ValueClass {
  std::vector<SlotRead> reads;  ///< in order of execution; empty: no quantizer needed
  bool non_negative = true;     ///< every value is
  bool picture_only = true;     ///< every value is the picture, pooled or reshaped at most
};

/// Conv2d and Linear inputs of quantizable layers; with `shared`, inputs of Add, AvgPool2d and GlobalAvgPool as well.
std::vector<SlotRead> slot_reads(const nn::Graph& graph, const QuantConfig& config, bool shared);

std::vector<ValueClass> value_classes(const nn::Graph& graph, const std::vector<SlotRead>& reads);

/// Is the op a convolution or a linear layer, held by a module that config quantizes?
bool is_quantized_layer(const nn::GraphNode& node, const QuantConfig& config);
/// graph.consumers() without the statistics of a batch norm, which in evaluation do not depend on the value.
std::vector<std::vector<int>> value_readers(const nn::Graph& graph);
/// Does the op hand the codes of its inputs on?
bool passes_codes(const std::string& op);

}  // namespace octet::quant
