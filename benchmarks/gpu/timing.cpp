#include "benchmarks/gpu/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/gpu/gpu.h"

namespace octet::bench {
namespace {

constexpr int kMostCalls = 500;  // in a graph

double seconds_of(const gpu::Graph& graph) {
  gpu::synchronize();
  const auto start = std::chrono::steady_clock::now();
  graph.launch();
  gpu::synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

gpu::Graph repeated(const std::function<void()>& work, int calls) {
  return gpu::Graph::record([&] {
    for (int i = 0; i < calls; ++i) work();
  });
}

}  // namespace

Quartiles time_on_device(const std::function<void()>& work, const DeviceTiming& timing) {
  work();
  gpu::Graph graph = repeated(work, 1);
  int calls = 1;
  if (timing.seconds > 0) {
    seconds_of(graph);
    const double once = std::max(seconds_of(graph), 1e-7);
    calls = std::clamp(static_cast<int>(std::ceil(timing.seconds / once)), 1, kMostCalls);
    if (calls > 1) graph = repeated(work, calls);
    seconds_of(graph);
  }
  std::vector<double> times;
  for (int i = 0; i < timing.rounds; ++i) times.push_back(seconds_of(graph) / calls);
  return quartiles_of(times);
}

}  // namespace octet::bench
