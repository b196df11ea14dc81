// The integer engine: runs a Graph on the kernels of the integer rooms. No autograd, no training code.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "core/safetensors.h"
#include "quant/engine/graph.h"

namespace octet::engine {

/// A model planned for this machine: rows chosen, weights packed, memory laid out. Immutable: run() may be called from several
/// threads at once.
class Engine {
 public:
  /// Throws Error when validate() does.
  explicit Engine(const Graph& graph);
  /// load_graph() and plan.
  static Engine load(const std::string& path);
  Engine(Engine&&) noexcept;
  ~Engine();

  /// pictures f32 N,H,W,C → logits f32 N,classes. With `values`, every node's value under its name: codes (u8, s8) or f32,
  /// N,H,W,C. Throws Error when the extent is not the graph's.
  Tensor run(const Tensor& pictures, NamedTensors* values = nullptr) const;

  const Graph& graph() const;
  /// Bytes of activations that a picture needs under the static plan.
  std::size_t bytes_per_picture() const;
  /// A line per node: name and the row chosen.
  std::string plan_text() const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace octet::engine
