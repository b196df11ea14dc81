#include "quant/engine/memory_plan.h"

#include <algorithm>

namespace octet::engine {
namespace {

struct Block {
  std::size_t offset, bytes;
  int dies;  // index of the last node that reads it
};

// Puts a block into the lowest gap between the live ones that holds it; `live` is and stays in the order of the offsets.
std::size_t place(std::vector<Block>& live, std::size_t bytes, int dies) {
  std::size_t offset = 0;
  auto behind = live.begin();
  for (; behind != live.end() && behind->offset < offset + bytes; ++behind) offset = behind->offset + behind->bytes;
  live.insert(behind, {offset, bytes, dies});
  return offset;
}

// The node whose memory holds value i.
std::vector<int> owners(const Graph& graph) {
  std::vector<int> owner(graph.nodes.size());
  for (std::size_t i = 0; i < owner.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    owner[i] = node.op == OpKind::flatten ? owner[static_cast<std::size_t>(node.inputs[0])] : static_cast<int>(i);
  }
  return owner;
}

}  // namespace

std::size_t value_bytes(const GraphNode& node) {
  return static_cast<std::size_t>(node.h * node.w * node.c) * (node.type.is_codes ? 1 : sizeof(float));
}

MemoryPlan plan_memory(const Graph& graph, bool keep_all) {
  const std::vector<int> owner = owners(graph);
  const int count = static_cast<int>(graph.nodes.size());
  std::vector<int> dies(graph.nodes.size(), 0);
  for (int i = 0; i < count; ++i)
    for (int input : graph.nodes[static_cast<std::size_t>(i)].inputs) dies[static_cast<std::size_t>(owner[static_cast<std::size_t>(input)])] = i;
  dies[static_cast<std::size_t>(owner[static_cast<std::size_t>(graph.output)])] = count;

  MemoryPlan plan;
  plan.offset.resize(graph.nodes.size());
  std::vector<Block> live;
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (owner[at] != i) {
      plan.offset[at] = plan.offset[static_cast<std::size_t>(owner[at])];
      continue;
    }
    if (!keep_all) std::erase_if(live, [&](const Block& block) { return block.dies < i; });
    const std::size_t bytes = (value_bytes(graph.nodes[at]) + 63) / 64 * 64;
    plan.offset[at] = place(live, bytes, std::max(dies[at], i));
    plan.bytes_per_picture = std::max(plan.bytes_per_picture, plan.offset[at] + bytes);
  }
  return plan;
}

}  // namespace octet::engine
