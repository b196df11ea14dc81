// Where every value of a graph lies: offsets in one arena, laid out once, reused as values die.
#pragma once
#include <cstddef>
#include <vector>

#include "quant/engine/graph.h"

namespace octet::engine {

struct MemoryPlan {
  /// Byte offset of node i's value for one picture; a value of n pictures lies at n times the offset.
  std::vector<std::size_t> offset;
  std::size_t bytes_per_picture = 0;
};

/// Bytes of a value of one picture.
std::size_t value_bytes(const GraphNode& node);
/// Greedy first fit by lifetime, in order of execution; offsets are multiples of 64. Flatten shares its input's place. With
/// `keep_all` no value gives its place up.
MemoryPlan plan_memory(const Graph& graph, bool keep_all);

}  // namespace octet::engine
