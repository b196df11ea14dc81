// How a node of a graph is computed: its kernel chosen, its constants packed, ready to be called any number of times.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "core/device.h"
#include "quant/engine/graph.h"

namespace octet::engine {

/// One node, planned. `run` computes it for n pictures: sources in the order of its inputs, then the destination, all in memory of
/// the step's device. Safe to call from several threads at once.
struct Step {
  std::function<void(std::int64_t n, const void* const* src, void* dst)>
      run;                       ///< empty: nothing to do (input, flatten)
  std::string impl;              ///< the row chosen, "" where there is no choice
  std::size_t packed_bytes = 0;  ///< of its constants
};

/// How a node's value is stored: u8 or s8 codes, or f32.
DType storage(const GraphNode& node);
/// Plans node i of a graph that validate() accepts. Weights are copied out of the graph, to where the device reads them. Throws
/// Error when the device has no row for it.
Step make_step(const Graph& graph, std::size_t i, Device device = Device::cpu);

}  // namespace octet::engine
