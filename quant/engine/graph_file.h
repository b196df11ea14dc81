// The engine's file: a Graph as safetensors (docs/format.md).
#pragma once
#include <string>

#include "quant/engine/graph.h"

namespace octet::engine {

/// Version of the graph description that this code writes and reads.
inline constexpr int kFormatVersion = 1;

/// Validates and writes atomically; equal graphs give equal bytes.
void save_graph(const std::string& path, const Graph& graph);
/// Where a loaded graph's weights lie: in memory of their own, or in a private mapping of the file, which costs nothing but must
/// not outlive the file's length: for whoever packs them at once.
enum class Weights : std::uint8_t { copied, mapped };
/// Reads, checks the checksum and validates. Throws Error, one line naming the file, on anything that is wrong with it.
Graph load_graph(const std::string& path, Weights weights = Weights::copied);

}  // namespace octet::engine
