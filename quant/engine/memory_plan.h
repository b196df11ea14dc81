// Where every value of a graph lies: offsets in one arena, laid out once, reused as values die.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "quant/engine/graph.h"

namespace octet::engine {

struct MemoryPlan {
  /// Byte offset of node i's value for one picture; a value of n pictures lies at n times the offset.
  std::vector<std::size_t> offset;
  std::size_t bytes_per_picture = 0;
};

/// Nodes that a tile of pictures goes through a few pictures at a time, depth first, so that what they hand on stays in the
/// second-level cache. Later stretches, whose maps are small, take more pictures, so that their weights are read less often.
struct Stretch {
  int begin = 0, end = 0;  ///< nodes [begin, end)
  std::int64_t pictures = 1;
};
/// Cuts a graph into stretches; none takes more than `tile` pictures.
std::vector<Stretch> plan_stretches(const Graph& graph, std::int64_t tile);
/// Per node: all that read its value are in its own stretch, so that only a few pictures of it exist at a time.
std::vector<bool> stays_inside(const Graph& graph, const std::vector<Stretch>& stretches);

/// Bytes of a value of one picture.
std::size_t value_bytes(const GraphNode& node);
/// Greedy first fit by lifetime, in order of execution; offsets are multiples of 64. Flatten shares its input's place. With
/// `keep_all` no value gives its place up. With stretches, a value that does not stay inside one lives from the beginning of its own to the
/// end of its last reader's, since the nodes between run again for the pictures that follow.
MemoryPlan plan_memory(const Graph& graph, bool keep_all, const std::vector<Stretch>& stretches = {});

}  // namespace octet::engine
