// No two values that are needed at the same time share a byte.
#include "quant/engine/memory_plan.h"

#include <gtest/gtest.h>

#include "graphs.h"

namespace octet::engine::test {
namespace {

/// Any number of nodes with any readers: the planner looks at inputs, extents and flatten alone.
Graph random_graph(std::uint32_t seed) {
  std::mt19937 random(seed);
  Graph graph;
  const int count = 2 + static_cast<int>(random() % 30);
  for (int i = 0; i < count; ++i) {
    GraphNode node;
    node.h = 1 + random() % 9, node.w = 1 + random() % 9, node.c = 1 + random() % 40;
    node.type.is_codes = random() % 2 == 0;
    const auto earlier = [&] {
      return static_cast<int>(random() % 3 == 0 ? random() % static_cast<unsigned>(i) : static_cast<unsigned>(i) - 1);
    };
    if (i > 0) {
      node.op = random() % 4 == 0 ? OpKind::flatten : OpKind::concat;
      node.inputs.push_back(earlier());
      if (node.op == OpKind::flatten) {
        const GraphNode& from = graph.nodes[static_cast<std::size_t>(node.inputs[0])];
        node.c = from.h * from.w * from.c, node.h = node.w = 1, node.type = from.type;
      } else {
        for (unsigned more = random() % 3; more > 0; --more) node.inputs.push_back(earlier());
      }
    }
    graph.nodes.push_back(node);
  }
  graph.output = random() % 2 == 0 ? count - 1 : static_cast<int>(random() % static_cast<unsigned>(count));
  return graph;
}

/// The step from which on value i is needed no more; its own step at least. Flatten hands its input on.
int last_need(const Graph& graph, int i) {
  int last = graph.output == i ? static_cast<int>(graph.nodes.size()) : i;
  for (int j = i + 1; j < static_cast<int>(graph.nodes.size()); ++j) {
    const GraphNode& reader = graph.nodes[static_cast<std::size_t>(j)];
    for (int input : reader.inputs)
      if (input == i) last = std::max(last, reader.op == OpKind::flatten ? std::max(j, last_need(graph, j)) : j);
  }
  return last;
}

int source(const Graph& graph, int i) {
  const GraphNode& node = graph.nodes[static_cast<std::size_t>(i)];
  return node.op == OpKind::flatten ? source(graph, node.inputs[0]) : i;
}

bool apart(const Graph& graph, const MemoryPlan& plan, int i, int j) {
  const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
  return plan.offset[a] + value_bytes(graph.nodes[a]) <= plan.offset[b] ||
         plan.offset[b] + value_bytes(graph.nodes[b]) <= plan.offset[a];
}

void expect_sound(const Graph& graph, bool keep_all) {
  const MemoryPlan plan = plan_memory(graph, keep_all);
  const int count = static_cast<int>(graph.nodes.size());
  ASSERT_EQ(plan.offset.size(), graph.nodes.size());
  for (int j = 0; j < count; ++j) {
    const auto at = static_cast<std::size_t>(j);
    EXPECT_EQ(plan.offset[at] % 64, 0u);
    EXPECT_LE(plan.offset[at] + value_bytes(graph.nodes[at]), plan.bytes_per_picture);
    for (int i = 0; i < j; ++i) {
      if (source(graph, i) == source(graph, j)) {
        EXPECT_EQ(plan.offset[static_cast<std::size_t>(i)], plan.offset[at]);
      } else if (keep_all || last_need(graph, i) >= j) {
        EXPECT_TRUE(apart(graph, plan, i, j)) << i << " and " << j;
      }
    }
  }
}

TEST(MemoryPlan, LiveValuesLieApart) {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = random_graph(seed);
    expect_sound(graph, false);
    expect_sound(graph, true);
    EXPECT_LE(plan_memory(graph, false).bytes_per_picture, plan_memory(graph, true).bytes_per_picture);
  }
  expect_sound(every_op(QuantRule::onnx), false);
  expect_sound(every_op(QuantRule::paddle), true);
}

/// Cuts anywhere, pictures that grow: what plan_stretches() could give for other nets.
std::vector<Stretch> random_stretches(const Graph& graph, std::mt19937& random) {
  std::vector<Stretch> stretches;
  const int count = static_cast<int>(graph.nodes.size());
  std::int64_t pictures = 1 + random() % 2;
  for (int begin = 0; begin < count;) {
    const int end = std::min(count, begin + 1 + static_cast<int>(random() % 8));
    stretches.push_back({begin, end, pictures});
    begin = end, pictures += random() % 3;
  }
  return stretches;
}

/// Runs a graph of no arithmetic: every value of every picture signs its bytes, every reader looks for the signatures.
void expect_values_survive(const Graph& graph, const std::vector<Stretch>& stretches, std::int64_t n) {
  const MemoryPlan plan = plan_memory(graph, false, stretches);
  const std::vector<bool> inside = stays_inside(graph, stretches);
  std::vector<int> arena(plan.bytes_per_picture * static_cast<std::size_t>(n), -1);
  const auto for_bytes = [&](int i, std::int64_t picture, std::int64_t first, auto&& visit) {
    const auto at = static_cast<std::size_t>(source(graph, i));
    const std::size_t bytes = value_bytes(graph.nodes[at]),
                      place = static_cast<std::size_t>(inside[at] ? picture - first : picture);
    const std::size_t begin = plan.offset[at] * static_cast<std::size_t>(n) + place * bytes;
    for (std::size_t k = begin; k < begin + bytes; ++k)
      visit(arena.at(k), source(graph, i) * 1000 + static_cast<int>(picture));
  };
  for (const Stretch& stretch : stretches)
    for (std::int64_t first = 0; first < n; first += stretch.pictures)
      for (int i = stretch.begin; i < stretch.end; ++i)
        for (std::int64_t picture = first; picture < std::min(n, first + stretch.pictures); ++picture) {
          const GraphNode& node = graph.nodes[static_cast<std::size_t>(i)];
          for (int input : node.inputs)
            for_bytes(input, picture, first,
                      [&](int& byte, int sign) { ASSERT_EQ(byte, sign) << input << " for " << i; });
          if (node.op != OpKind::flatten) for_bytes(i, picture, first, [](int& byte, int sign) { byte = sign; });
        }
  for (std::int64_t picture = 0; picture < n; ++picture)
    for_bytes(graph.output, picture, 0, [](int& byte, int sign) { ASSERT_EQ(byte, sign) << "output"; });
}

TEST(MemoryPlan, ValuesSurviveStretches) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Graph graph = random_graph(seed);
    expect_values_survive(graph, random_stretches(graph, random), 1 + seed % 7);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(MemoryPlan, StretchesGrowWhereMapsShrink) {
  Builder b(64, 64, 3);
  int last = b.quantize(0, onnx(0.02f, 0, 0, 255));
  for (std::int64_t c : {16, 32, 32, 64})
    last = b.conv(last, c, {3, 3, 2, 2, 1, 1}, std::vector<int>(static_cast<std::size_t>(c * 9 * b.at(last).c), 1),
                  std::vector<float>(static_cast<std::size_t>(c), 0.01f), onnx(0.1f, 0, 0, 255));
  const Graph graph = b.finish();
  const std::vector<Stretch> stretches = plan_stretches(graph, 64);
  ASSERT_GT(stretches.size(), 1u);
  EXPECT_EQ(stretches.front().begin, 0);
  EXPECT_EQ(stretches.back().end, static_cast<int>(graph.nodes.size()));
  for (std::size_t i = 1; i < stretches.size(); ++i) {
    EXPECT_EQ(stretches[i].begin, stretches[i - 1].end);
    EXPECT_GE(stretches[i].pictures, 2 * stretches[i - 1].pictures);
    EXPECT_LE(stretches[i].pictures, 64);
  }
}

TEST(MemoryPlan, AChainNeedsTwoPlaces) {
  Builder b(4, 4, 16);  // 1024 bytes as floats
  int last = 0;
  for (int i = 0; i < 20; ++i) last = b.activation(last, kernels::Activation::relu);
  EXPECT_EQ(plan_memory(b.finish(), false).bytes_per_picture, 2048u);
  EXPECT_EQ(plan_memory(b.finish(), true).bytes_per_picture, 21u * 1024);
}

TEST(MemoryPlan, GapsAreUsed) {
  // Three values of 1024, 4096 and 1024 bytes; the first dies when the second is made, the third then fits in its place.
  Graph graph;
  for (std::int64_t c : {256, 1024, 256}) {
    GraphNode node;
    node.c = c;
    if (!graph.nodes.empty()) node.inputs = {static_cast<int>(graph.nodes.size()) - 1};
    graph.nodes.push_back(node);
  }
  graph.output = 2;
  const MemoryPlan plan = plan_memory(graph, false);
  EXPECT_EQ(plan.offset, (std::vector<std::size_t>{0, 1024, 0}));
  EXPECT_EQ(plan.bytes_per_picture, 5120u);
}

TEST(MemoryPlan, BytesOfAValue) {
  GraphNode node;
  node.h = 3, node.w = 5, node.c = 7;
  EXPECT_EQ(value_bytes(node), 420u);
  node.type.is_codes = true;
  EXPECT_EQ(value_bytes(node), 105u);
}

}  // namespace
}  // namespace octet::engine::test
