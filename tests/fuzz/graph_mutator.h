// Changes an engine's graph while keeping most of it consistent, so that planning and running are fuzzed, not only
// validate().
#pragma once
#include <string>

#include "quant/engine/graph.h"
#include "tests/fuzz/container.h"

namespace octet::fuzz {

/// The file that save_graph() would write, but of any graph: nothing is validated.
std::string bytes_of(const engine::Graph& graph);

/// A few changes of a graph: windows, channels, wires, grids, weights, nodes behind the last. Afterwards extents, types
/// and sizes of weights mostly follow from each other again.
void mutate(engine::Graph& graph, Dice& dice);

}  // namespace octet::fuzz
