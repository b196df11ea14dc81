#include "quant/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "core/allocator.h"
#include "core/gpu/gpu.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "quant/engine/graph_file.h"
#include "quant/engine/memory_plan.h"
#include "quant/engine/steps.h"

namespace octet::engine {
namespace {

// Pictures that a thread takes through the net together: layers whose weights are large and whose maps are small want many.
constexpr std::int64_t kTile = 64;
// Smaller tiles, where activations are so large that a tile would take more than this.
constexpr std::size_t kMostArena = std::size_t{1} << 30;
// A device works at a whole tile layer by layer, and wants enough pictures for all its threads in the smallest maps.
constexpr std::int64_t kDeviceTile = 1024;
constexpr std::size_t kMostDeviceArena = std::size_t{4} << 30;
constexpr std::size_t kMostGraphs = 16;

/// On a device one caller works at a time: a recording takes in whatever reaches the stream.
std::unique_lock<std::mutex> turn_on(Device device) {
  static std::mutex turns;
  return device == Device::cpu ? std::unique_lock<std::mutex>() : std::unique_lock(turns);
}

/// Where the values of a tile of `n` pictures lie in an arena, while pictures from `first` on are worked at.
struct Place {
  const MemoryPlan& plan;
  char* arena;
  const float* pictures;  ///< the tile's: as the caller has them, or on the device
  std::int64_t n, first = 0;
};

}  // namespace

struct Engine::Plan {
  Device device;
  Graph graph;
  std::vector<Step> steps;
  std::vector<Stretch> stretches;
  std::vector<bool> inside;  ///< stays_inside()
  MemoryPlan memory, keeping_all;

  Plan(Graph planned, Device where) : device(where), graph(std::move(planned)) {
    if (on_device()) gpu::require();
    const int count = static_cast<int>(graph.nodes.size());
    stretches = on_device() ? std::vector<Stretch>{{0, count, kDeviceTile}} : plan_stretches(graph, kTile);
    inside = stays_inside(graph, stretches);
    memory = on_device() ? plan_memory(graph, false) : plan_memory(graph, false, stretches);
    keeping_all = plan_memory(graph, true);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      steps.push_back(make_step(graph, i, device));
      graph.nodes[i].weight = {};  // packed; what backed it may go
    }
  }

  bool on_device() const { return device != Device::cpu; }
  const GraphNode& output() const { return graph.nodes[static_cast<std::size_t>(graph.output)]; }

  std::int64_t largest_tile(const MemoryPlan& place) const {
    const std::size_t most = on_device() ? kMostDeviceArena : kMostArena;
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(most / std::max<std::size_t>(place.bytes_per_picture, 1)),
                                    1, on_device() ? kDeviceTile : kTile);
  }

  std::shared_ptr<void> arena_of(const MemoryPlan& place, std::int64_t tile) const {
    const std::size_t bytes = place.bytes_per_picture * static_cast<std::size_t>(tile);
    return on_device() ? gpu::allocate(bytes) : allocate(bytes);
  }

  /// The place of a tile of n pictures; a device gets its copy of them.
  Place put(const MemoryPlan& plan, void* arena, const float* pictures, std::int64_t n) const {
    Place place{plan, static_cast<char*>(arena), pictures, n};
    if (!on_device()) return place;
    char* there = place.arena + plan.offset[0] * static_cast<std::size_t>(n);
    gpu::copy_from_host(there, pictures, value_bytes(graph.nodes[0]) * static_cast<std::size_t>(n));
    place.pictures = reinterpret_cast<const float*>(there);
    return place;
  }

  /// Value i of the picture at place.first. A value that stays inside its stretch holds the pictures in work alone.
  void* at(const Place& place, std::size_t i) const {
    const GraphNode& node = graph.nodes[i];
    if (node.op == OpKind::flatten) return at(place, static_cast<std::size_t>(node.inputs[0]));
    if (i == 0) return const_cast<float*>(place.pictures) + place.first * (node.h * node.w * node.c);
    const bool few = inside[i] && &place.plan == &memory;
    return place.arena + place.plan.offset[i] * static_cast<std::size_t>(place.n) +
           (few ? 0 : static_cast<std::size_t>(place.first) * value_bytes(node));
  }

  void run_step(const Place& place, std::size_t i, std::int64_t n, std::vector<const void*>& sources) const {
    if (!steps[i].run) return;
    const profile::Span span(profile::Kind::module, graph.nodes[i].name);
    sources.clear();
    for (int input : graph.nodes[i].inputs) sources.push_back(at(place, static_cast<std::size_t>(input)));
    steps[i].run(n, sources.data(), at(place, i));
  }

  /// A tile through every node, stretch by stretch, in each a few pictures at a time.
  void run_tile(Place place, std::vector<const void*>& sources) const {
    for (const Stretch& stretch : stretches)
      for (place.first = 0; place.first < place.n; place.first += stretch.pictures)
        for (int i = stretch.begin; i < stretch.end; ++i)
          run_step(place, static_cast<std::size_t>(i), std::min(stretch.pictures, place.n - place.first), sources);
  }

  /// Copies value i of a whole tile out of the arena; waits for a device.
  void take(const Place& place, std::size_t i, void* to) const {
    const std::size_t bytes = value_bytes(graph.nodes[i]) * static_cast<std::size_t>(place.n);
    if (on_device())
      gpu::copy_to_host(to, at(place, i), bytes);
    else
      std::memcpy(to, at(place, i), bytes);
  }
};

Engine::Engine(Graph graph, Device device) {
  validate(graph);
  const auto turn = turn_on(device);
  plan_ = std::make_shared<const Plan>(std::move(graph), device);
}

Engine Engine::load(const std::string& path, Device device) {
  Graph graph = load_graph(path, Weights::mapped);
  const auto turn = turn_on(device);
  return Engine(std::make_shared<const Plan>(std::move(graph), device));
}

Device Engine::device() const { return plan_->device; }
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
    text += fmt::format("{:28} {:10} {}\n", plan_->graph.nodes[i].name, name_of(plan_->graph.nodes[i].op),
                        plan_->steps[i].impl);
  return text;
}

Tensor Engine::run(const Tensor& pictures, NamedTensors* values) const {
  const auto& nodes = plan_->graph.nodes;
  const Shape& shape = pictures.shape();
  OCTET_CHECK(pictures.dtype() == DType::f32 && shape.rank() == 4 && shape[1] == nodes[0].h && shape[2] == nodes[0].w &&
                  shape[3] == nodes[0].c,
              "engine", "pictures are {} {}, the model takes f32 Nx{}x{}x{}", name_of(pictures.dtype()), shape.str(),
              nodes[0].h, nodes[0].w, nodes[0].c);
  const std::int64_t count = shape[0];
  Tensor logits({count, classes()});
  if (values == nullptr) {
    Session(*this).run(pictures.data<float>(), count, logits.data<float>());
    return logits;
  }
  const auto turn = turn_on(device());
  values->clear();
  for (const GraphNode& node : nodes)
    values->emplace_back(node.name, Tensor({count, node.h, node.w, node.c}, storage(node)));
  const MemoryPlan& place = plan_->keeping_all;
  const std::int64_t tile = std::min(count, plan_->largest_tile(place));
  const auto arena = plan_->arena_of(place, tile);
  std::vector<const void*> sources;
  for (std::int64_t begin = 0; begin < count; begin += tile) {
    const std::int64_t n = std::min(tile, count - begin);
    const float* first = pictures.data<float>() + begin * picture_size();
    const Place at = plan_->put(place, arena.get(), first, n);
    plan_->run_tile(at, sources);
    plan_->take(at, static_cast<std::size_t>(plan_->graph.output), logits.data<float>() + begin * classes());
    for (std::size_t i = 0; i < nodes.size(); ++i)
      plan_->take(at, i, (*values)[i].second.slice(begin, begin + n).raw());
  }
  return logits;
}

Session::Session(const Engine& engine) : plan_(engine.plan_) {}

std::size_t Session::bytes() const {
  return benches_.size() * static_cast<std::size_t>(tile_) * plan_->memory.bytes_per_picture;
}

void Session::reserve(std::size_t benches, std::int64_t tile) {
  if (tile > tile_) {
    benches_.clear();
    graphs_.clear();  // which work in the memory that goes
    tile_ = 0;
  }
  const std::int64_t size = std::max(tile, tile_);
  for (std::size_t i = benches_.size(); i < benches; ++i)
    benches_.push_back({plan_->arena_of(plan_->memory, size), {}});
  tile_ = size;  // once there is memory for it
}

void Session::run(const float* pictures, std::int64_t count, float* logits) {
  OCTET_CHECK(count >= 0, "engine", "{} pictures", count);
  if (count == 0) return;
  plan_->on_device() ? run_on_device(pictures, count, logits) : run_on_processor(pictures, count, logits);
}

void Session::run_on_device(const float* pictures, std::int64_t count, float* logits) {
  const auto turn = turn_on(plan_->device);
  const std::int64_t size = value_bytes(plan_->graph.nodes[0]) / sizeof(float), classes = plan_->output().c;
  const std::int64_t tile = std::min(count, plan_->largest_tile(plan_->memory));
  reserve(1, tile);
  Bench& bench = benches_[0];
  for (std::int64_t begin = 0; begin < count; begin += tile) {
    const std::int64_t n = std::min(tile, count - begin);
    const Place place = plan_->put(plan_->memory, bench.arena.get(), pictures + begin * size, n);
    const auto known = graphs_.find(n);
    const bool met = known != graphs_.end();
    if (met && known->second.defined() && !profile::on())
      known->second.launch();
    else
      plan_->run_tile(place, bench.sources);
    plan_->take(place, static_cast<std::size_t>(plan_->graph.output), logits + begin * classes);
    if (!met && graphs_.size() < kMostGraphs) graphs_.emplace(n, gpu::Graph());
    if (met && !known->second.defined() && may_record_)
      known->second = recorded([&] { plan_->run_tile(place, bench.sources); });
  }
}

gpu::Graph Session::recorded(const std::function<void()>& work) {
  try {
    return gpu::Graph::record(work);
  } catch (const Error& error) {
    may_record_ = false;
    log_info(fmt::format("tiles on the device are not recorded: {}", error.what()));
    return {};
  }
}

void Session::run_on_processor(const float* pictures, std::int64_t count, float* logits) {
  const std::int64_t threads = num_threads(), size = value_bytes(plan_->graph.nodes[0]) / sizeof(float),
                     classes = plan_->output().c;
  const auto output = static_cast<std::size_t>(plan_->graph.output);
  // With fewer pictures than threads, layers are cut instead: a tile of all of them, whose kernels use the pool.
  const bool by_picture = count >= threads && threads > 1;
  const std::int64_t even = by_picture ? (count + threads - 1) / threads : count;
  const std::int64_t tile = std::clamp<std::int64_t>(even, 1, plan_->largest_tile(plan_->memory)),
                     tiles = (count + tile - 1) / tile;
  const std::int64_t benches = by_picture ? std::min(threads, tiles) : 1;
  reserve(static_cast<std::size_t>(benches), tile);
  std::atomic<std::int64_t> next{0};
  const auto work = [&](std::int64_t i) {
    Bench& bench = benches_[static_cast<std::size_t>(i)];
    for (std::int64_t at; (at = next.fetch_add(1, std::memory_order_relaxed)) < tiles;) {
      const std::int64_t begin = at * tile, n = std::min(tile, count - begin);
      const Place place = plan_->put(plan_->memory, bench.arena.get(), pictures + begin * size, n);
      plan_->run_tile(place, bench.sources);
      plan_->take(place, output, logits + begin * classes);
    }
  };
  if (by_picture)
    parallel_for(benches, work);
  else
    work(0);
}

}  // namespace octet::engine
