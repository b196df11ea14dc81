#include "quant/engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace octet::engine {
namespace {

/// What a stretch's values may take of the second-level cache, whose other part is for weights.
constexpr std::size_t kStretchBytes = 192 << 10;

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

/// Pictures for which what node i reads and makes fits kStretchBytes.
std::int64_t pictures_that_fit(const Graph& graph, std::size_t i) {
  std::size_t bytes = value_bytes(graph.nodes[i]);
  for (int input : graph.nodes[i].inputs) bytes += value_bytes(graph.nodes[static_cast<std::size_t>(input)]);
  return std::max<std::int64_t>(static_cast<std::int64_t>(kStretchBytes / bytes), 1);
}

}  // namespace

std::vector<Stretch> plan_stretches(const Graph& graph, std::int64_t tile) {
  const std::size_t count = graph.nodes.size();
  std::vector<std::int64_t> most(count + 1, tile);  // pictures that fit from node i on
  for (std::size_t i = count; i-- > 0;) most[i] = std::min(most[i + 1], pictures_that_fit(graph, i));
  std::vector<Stretch> stretches;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<int>(i);
    if (stretches.empty() || most[i] >= 2 * stretches.back().pictures) stretches.push_back({at, at, most[i]});
    stretches.back().end = at + 1;
  }
  return stretches;
}

std::vector<bool> stays_inside(const Graph& graph, const std::vector<Stretch>& stretches) {
  std::vector<int> stretch_of;
  for (std::size_t s = 0; s < stretches.size(); ++s)
    stretch_of.resize(static_cast<std::size_t>(stretches[s].end), static_cast<int>(s));
  const std::vector<int> owner = owners(graph);
  std::vector<bool> inside(graph.nodes.size(), true);
  const auto meet = [&](int value, int reader) {
    const auto at = static_cast<std::size_t>(owner[static_cast<std::size_t>(value)]);
    if (reader < 0 || stretch_of[at] != stretch_of[static_cast<std::size_t>(reader)]) inside[at] = false;
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (int input : graph.nodes[i].inputs) meet(input, static_cast<int>(i));
  meet(graph.output, -1);
  for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = inside[static_cast<std::size_t>(owner[i])];
  return inside;
}

std::size_t value_bytes(const GraphNode& node) {
  return static_cast<std::size_t>(node.h * node.w * node.c) * (node.type.is_codes ? 1 : sizeof(float));
}

namespace {

/// Nodes by index: a value is needed from node `born` to node `dies`.
struct Lifetimes {
  std::vector<int> born, dies;
};

Lifetimes lifetimes(const Graph& graph, const std::vector<int>& owner, const std::vector<Stretch>& stretches) {
  const int count = static_cast<int>(graph.nodes.size());
  Lifetimes life;
  life.born.resize(graph.nodes.size());
  std::iota(life.born.begin(), life.born.end(), 0);
  life.dies = life.born;
  const auto dies = [&](int value) -> int& {
    return life.dies[static_cast<std::size_t>(owner[static_cast<std::size_t>(value)])];
  };
  for (int i = 0; i < count; ++i)
    for (int input : graph.nodes[static_cast<std::size_t>(i)].inputs) dies(input) = i;
  dies(graph.output) = count;
  if (stretches.empty()) return life;
  const std::vector<bool> inside = stays_inside(graph, stretches);
  for (std::size_t i = 0; i < inside.size(); ++i)
    for (const Stretch& stretch : stretches) {
      if (inside[i]) continue;
      const auto contains = [&](int node) { return node >= stretch.begin && node < stretch.end; };
      if (contains(static_cast<int>(i))) life.born[i] = stretch.begin;
      if (contains(life.dies[i])) life.dies[i] = stretch.end - 1;
    }
  return life;
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph, bool keep_all, const std::vector<Stretch>& stretches) {
  const std::vector<int> owner = owners(graph);
  const Lifetimes life = lifetimes(graph, owner, stretches);
  std::vector<std::size_t> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return life.born[a] < life.born[b]; });

  MemoryPlan plan;
  plan.offset.resize(graph.nodes.size());
  std::vector<Block> live;
  for (std::size_t at : order) {
    if (owner[at] != static_cast<int>(at)) continue;
    if (!keep_all) std::erase_if(live, [&](const Block& block) { return block.dies < life.born[at]; });
    const std::size_t bytes = (value_bytes(graph.nodes[at]) + 63) / 64 * 64;
    plan.offset[at] = place(live, bytes, life.dies[at]);
    plan.bytes_per_picture = std::max(plan.bytes_per_picture, plan.offset[at] + bytes);
  }
  for (std::size_t i = 0; i < owner.size(); ++i) plan.offset[i] = plan.offset[static_cast<std::size_t>(owner[i])];
  return plan;
}

}  // namespace octet::engine
