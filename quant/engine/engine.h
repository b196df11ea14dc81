// The engine: runs a Graph on the kernels, with memory laid out beforehand. No autograd, no training code.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/gpu/gpu.h"
#include "core/safetensors.h"
#include "quant/engine/graph.h"

namespace octet::engine {

/// A model planned for this machine's processor or its device: rows chosen, weights packed, memory laid out. Immutable: any
/// number of threads and sessions may use one at the same time. On the device a graph of codes gives the processor's bits, one with
/// layers of floats answers within their rounding.
class Engine {
 public:
  /// Throws Error when validate() does, when there is no such device, and when it has no row for a node.
  explicit Engine(Graph graph, Device device = Device::cpu);
  /// Reads a file's weights through a mapping of it, packs them and lets the mapping go. Throws Error as load_graph() and the
  /// constructor do.
  static Engine load(const std::string& path, Device device = Device::cpu);

  /// pictures f32 N,H,W,C → logits f32 N,classes, in the host's memory. With `values`, every node's value under its name, there
  /// too: codes (u8, s8) or f32, N,H,W,C. Throws Error when the extent is not the graph's. Takes working memory for the call; a
  /// Session keeps its own.
  Tensor run(const Tensor& pictures, NamedTensors* values = nullptr) const;

  /// The graph without its weights, which are packed.
  const Graph& graph() const;
  Device device() const;              ///< that the steps run on
  std::int64_t picture_size() const;  ///< floats of one picture, H·W·C
  std::int64_t classes() const;       ///< floats of one answer
  /// Bytes of activations that a picture needs under the static plan.
  std::size_t bytes_per_picture() const;
  /// Bytes of packed weights and constants.
  std::size_t packed_bytes() const;
  /// A line per node: name and the row chosen.
  std::string plan_text() const;

 private:
  friend class Session;
  struct Plan;
  explicit Engine(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  std::shared_ptr<const Plan> plan_;
};

/// One caller's working memory for an engine, kept between runs: after the first run of a batch size nothing is allocated.
/// Sessions on one engine may run at the same time, each from one thread; large batches are cut into tiles of pictures that the
/// thread pool's threads take through the whole net, a single picture's layers are cut instead. Any number of threads and any
/// batch give the same bits. On the device a session has one block of memory for large tiles, and records what a tile takes as one graph
/// (gpu::Graph), for each of the first sizes of tiles that it meets twice; sessions take turns, since they share the stream.
class Session {
 public:
  explicit Session(const Engine& engine);
  Session(const Session&) = delete;  // it would work in the same memory
  Session(Session&&) noexcept = default;
  Session& operator=(const Session&) = delete;
  Session& operator=(Session&&) noexcept = default;
  /// pictures count,H,W,C → logits count,classes, in the host's memory; count >= 0. Throws Error on a negative count and when
  /// memory runs out.
  void run(const float* pictures, std::int64_t count, float* logits);
  /// Bytes of working memory held.
  std::size_t bytes() const;

 private:
  /// What one thread works in.
  struct Bench {
    std::shared_ptr<void> arena;
    std::vector<const void*> sources;
  };
  void reserve(std::size_t benches, std::int64_t tile);
  void run_on_processor(const float* pictures, std::int64_t count, float* logits);
  void run_on_device(const float* pictures, std::int64_t count, float* logits);
  std::shared_ptr<const Engine::Plan> plan_;
  std::vector<Bench> benches_;
  std::int64_t tile_ = 0;  ///< pictures that a bench holds
  /// Undefined when it cannot be recorded, and then nothing is tried again.
  gpu::Graph recorded(const std::function<void()>& work);
  std::map<std::int64_t, gpu::Graph>
      graphs_;  ///< by pictures, in the first bench; undefined before the second tile of them
  bool may_record_ = true;
};

}  // namespace octet::engine
