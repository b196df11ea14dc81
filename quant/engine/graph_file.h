// The engine's file: a Graph as safetensors (docs/format.md).
#pragma once
#include <string>

#include "quant/engine/graph.h"

namespace octet::engine {

/// Version of the graph description that this code writes and reads.
inline constexpr int kFormatVersion = 1;

/// Validates and writes atomically; equal graphs give equal bytes.
void save_graph(const std::string& path, const Graph& graph);
/// Reads, checks the checksum and validates. Throws Error, one line naming the file, on anything that is wrong with it.
Graph load_graph(const std::string& path);

}  // namespace octet::engine
