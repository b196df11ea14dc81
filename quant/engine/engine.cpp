#include "quant/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/allocator.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "quant/engine/graph_file.h"
#include "quant/engine/memory_plan.h"
#include "quant/engine/steps.h"

namespace octet::engine {
namespace {

// Smaller tiles, where activations are so large that a tile would take more than this.
constexpr std::size_t kMostArena = std::size_t{1} << 30;

}  // namespace

struct Engine::Plan {
  Graph graph;
  std::vector<Step> steps;
  MemoryPlan memory, keeping_all;

  explicit Plan(Graph planned) : graph(std::move(planned)), memory(plan_memory(graph, false)), keeping_all(plan_memory(graph, true)) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      steps.push_back(make_step(graph, i));
      graph.nodes[i].weight = {};  // packed; what backed it may go
    }
  }

  const GraphNode& output() const { return graph.nodes[static_cast<std::size_t>(graph.output)]; }

  std::int64_t largest_tile(const MemoryPlan& place) const {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(kMostArena / std::max<std::size_t>(place.bytes_per_picture, 1)), 1, kTile);
  }

  /// Where value i of a tile of n pictures lies. The pictures themselves stay where the caller has them.
  const void* at(const MemoryPlan& place, const void* arena, const float* pictures, std::size_t i, std::int64_t n) const {
    const GraphNode& node = graph.nodes[i];
    if (node.op == OpKind::flatten) return at(place, arena, pictures, static_cast<std::size_t>(node.inputs[0]), n);
    return i == 0 ? static_cast<const void*>(pictures) : static_cast<const char*>(arena) + place.offset[i] * static_cast<std::size_t>(n);
  }

  /// n pictures through every node.
  void run_tile(const MemoryPlan& place, void* arena, std::vector<const void*>& sources, const float* pictures, std::int64_t n) const {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (!steps[i].run) continue;
      const profile::Span span(profile::Kind::module, graph.nodes[i].name);
      sources.clear();
      for (int input : graph.nodes[i].inputs) sources.push_back(at(place, arena, pictures, static_cast<std::size_t>(input), n));
      steps[i].run(n, sources.data(), static_cast<char*>(arena) + place.offset[i] * static_cast<std::size_t>(n));
    }
  }

  /// Copies value i of n pictures out of the arena.
  void take(const MemoryPlan& place, const void* arena, const float* pictures, std::size_t i, std::int64_t n, void* to) const {
    std::memcpy(to, at(place, arena, pictures, i, n), value_bytes(graph.nodes[i]) * static_cast<std::size_t>(n));
  }
};

Engine::Engine(Graph graph) {
  validate(graph);
  plan_ = std::make_shared<const Plan>(std::move(graph));
}

Engine Engine::load(const std::string& path) { return Engine(std::make_shared<const Plan>(load_graph(path, Weights::mapped))); }

const Graph& Engine::graph() const { return plan_->graph; }
std::size_t Engine::bytes_per_picture() const { return plan_->memory.bytes_per_picture; }
std::int64_t Engine::classes() const { return plan_->output().c; }

std::int64_t Engine::picture_size() const {
  const GraphNode& input = plan_->graph.nodes[0];
  return input.h * input.w * input.c;
}

std::size_t Engine::packed_bytes() const {
  std::size_t bytes = 0;
  for (const Step& step : plan_->steps) bytes += step.packed_bytes;
  return bytes;
}

std::string Engine::plan_text() const {
  std::string text;
  for (std::size_t i = 0; i < plan_->graph.nodes.size(); ++i)
    text += fmt::format("{:28} {:10} {}\n", plan_->graph.nodes[i].name, name_of(plan_->graph.nodes[i].op), plan_->steps[i].impl);
  return text;
}

Tensor Engine::run(const Tensor& pictures, NamedTensors* values) const {
  const auto& nodes = plan_->graph.nodes;
  const Shape& shape = pictures.shape();
  OCTET_CHECK(pictures.dtype() == DType::f32 && shape.rank() == 4 && shape[1] == nodes[0].h && shape[2] == nodes[0].w && shape[3] == nodes[0].c,
              "engine", "pictures are {} {}, the model takes f32 Nx{}x{}x{}", name_of(pictures.dtype()), shape.str(), nodes[0].h, nodes[0].w, nodes[0].c);
  const std::int64_t count = shape[0];
  Tensor logits({count, classes()});
  if (values == nullptr) {
    Session(*this).run(pictures.data<float>(), count, logits.data<float>());
    return logits;
  }
  values->clear();
  for (const GraphNode& node : nodes) values->emplace_back(node.name, Tensor({count, node.h, node.w, node.c}, storage(node)));
  const MemoryPlan& place = plan_->keeping_all;
  const std::int64_t tile = std::min(count, plan_->largest_tile(place));
  const auto arena = allocate(place.bytes_per_picture * static_cast<std::size_t>(tile));
  std::vector<const void*> sources;
  for (std::int64_t begin = 0; begin < count; begin += tile) {
    const std::int64_t n = std::min(tile, count - begin);
    const float* first = pictures.data<float>() + begin * picture_size();
    plan_->run_tile(place, arena.get(), sources, first, n);
    plan_->take(place, arena.get(), first, static_cast<std::size_t>(plan_->graph.output), n, logits.data<float>() + begin * classes());
    for (std::size_t i = 0; i < nodes.size(); ++i) plan_->take(place, arena.get(), first, i, n, (*values)[i].second.slice(begin, begin + n).raw());
  }
  return logits;
}

Session::Session(const Engine& engine) : plan_(engine.plan_) {}

std::size_t Session::bytes() const { return benches_.size() * static_cast<std::size_t>(tile_) * plan_->memory.bytes_per_picture; }

void Session::reserve(std::size_t benches, std::int64_t tile) {
  if (tile > tile_) {
    benches_.clear();
    tile_ = tile;
  }
  for (std::size_t i = benches_.size(); i < benches; ++i)
    benches_.push_back({allocate(plan_->memory.bytes_per_picture * static_cast<std::size_t>(tile_)), {}});
}

void Session::run(const float* pictures, std::int64_t count, float* logits) {
  OCTET_CHECK(count >= 0, "engine", "{} pictures", count);
  const std::int64_t threads = num_threads(), size = value_bytes(plan_->graph.nodes[0]) / sizeof(float), classes = plan_->output().c;
  const auto output = static_cast<std::size_t>(plan_->graph.output);
  // With fewer pictures than threads, layers are cut instead: a tile of all of them, whose kernels use the pool.
  const bool by_picture = count >= threads && threads > 1;
  const std::int64_t even = by_picture ? (count + threads - 1) / threads : count;
  const std::int64_t tile = std::clamp<std::int64_t>(even, 1, plan_->largest_tile(plan_->memory)), tiles = (count + tile - 1) / tile;
  const std::int64_t benches = by_picture ? std::min(threads, tiles) : std::min<std::int64_t>(tiles, 1);
  reserve(static_cast<std::size_t>(benches), tile);
  std::atomic<std::int64_t> next{0};
  const auto work = [&](std::int64_t i) {
    Bench& bench = benches_[static_cast<std::size_t>(i)];
    for (std::int64_t at; (at = next.fetch_add(1, std::memory_order_relaxed)) < tiles;) {
      const std::int64_t begin = at * tile, n = std::min(tile, count - begin);
      plan_->run_tile(plan_->memory, bench.arena.get(), bench.sources, pictures + begin * size, n);
      plan_->take(plan_->memory, bench.arena.get(), pictures + begin * size, output, n, logits + begin * classes);
    }
  };
  if (by_picture)
    parallel_for(benches, work);
  else if (benches > 0)
    work(0);
}

}  // namespace octet::engine
