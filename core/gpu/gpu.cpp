#include "core/gpu/gpu.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/gpu/backend.h"
#include "core/gpu/staging.h"

namespace octet::gpu {
namespace {

constexpr std::size_t kAlignment = 256;

#if !OCTET_WITH_CUDA
std::unique_ptr<Backend> no_backend(std::string& why_not) {
  why_not = "this build has no CUDA";
  return nullptr;
}
#endif

std::string hint() {
  return OCTET_WITH_CUDA ? "leave --device cuda out to work on the processor"
                         : "configure with -DOCTET_CUDA=ON where the CUDA toolkit is installed";
}

using FreeBlocks = std::unordered_map<std::size_t, std::vector<void*>>;

/// Takes a block of `size`; null when there is none.
void* take_from(FreeBlocks& free, std::size_t size) {
  const auto found = free.find(size);
  if (found == free.end() || found->second.empty()) return nullptr;
  void* const block = found->second.back();
  found->second.pop_back();
  return block;
}

/// The memory of a graph: blocks that were taken while it was recorded. The free ones serve that recording alone.
struct Pool {
  FreeBlocks free;
};

/// The device, its memory in hand, and whether a graph is being recorded.
class State {
 public:
  State() {
    const char* wanted = std::getenv("OCTET_GPU");
    if (wanted != nullptr && std::string(wanted) == "emulated") {
      emulate();
      return;
    }
#if OCTET_WITH_CUDA
    backend_ = cuda_backend(why_not_);
#else
    backend_ = no_backend(why_not_);
#endif
    kind_ = backend_ ? Kind::cuda : Kind::none;
  }

  void emulate() {
    if (kind_ == Kind::emulated) return;
#if OCTET_EMULATED_GPU
    trim();
    staging_.reset();
    backend_ = emulated_backend();
    kind_ = Kind::emulated;
#else
    fail("gpu", "OCTET_GPU=emulated, but this build has no emulated device", "configure with -DOCTET_TESTS=ON");
#endif
  }

  Kind kind() const { return kind_; }
  std::string description() const { return backend_ ? backend_->description() : why_not_; }
  Backend& backend() {
    if (!backend_) fail("gpu", fmt::format("no device: {}", why_not_), hint());
    return *backend_;
  }

  Staging& staging() {
    std::lock_guard lock(mutex_);
    if (!staging_) staging_ = std::make_unique<Staging>(backend());
    return *staging_;
  }

  void* take(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    Pool* const pool = outside_graph ? nullptr : pool_.get();
    void* block = pool != nullptr ? take_from(pool->free, size) : nullptr;
    if (block == nullptr) {
      block = take_common(size);
      OCTET_CHECK(block != nullptr, "gpu", "the device has no {} bytes left ({} in use)", size, live_);
      if (pool != nullptr) owner_of_[block] = pool;
      live_ += size;
    }
    peak_held_ = std::max(peak_held_, live_ + cached_);
    return block;
  }

  void give(void* block, std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    const auto owner = owner_of_.find(block);
    if (owner != owner_of_.end())
      keep(owner->second->free, block, size);
    else
      give_common(block, size);
  }

  /// Until end_pool() memory is taken for a graph. It holds on to the pool; what is free in it when it goes serves all again.
  void begin_pool() {
    std::lock_guard lock(mutex_);
    pool_ = std::shared_ptr<Pool>(new Pool, [this](Pool* pool) { dissolve(pool); });
  }
  std::shared_ptr<Pool> end_pool() {
    std::lock_guard lock(mutex_);
    return std::exchange(pool_, nullptr);
  }

  void trim() {
    std::lock_guard lock(mutex_);
    trim_locked();
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return {live_, peak_held_};
  }

  std::vector<std::function<void()>> after_recording;
  std::atomic<bool> recording = false;
  bool outside_graph = false;
  std::atomic<std::size_t> host_copies = 0;

 private:
  /// Of the blocks that belong to no graph, or fresh.
  void* take_common(std::size_t size) {
    if (void* const block = take_from(free_, size)) {
      cached_ -= size;
      return block;
    }
    void* block = backend().take(size);
    if (block == nullptr && !recording) {
      trim_locked();
      block = backend().take(size);
    }
    return block;
  }

  bool keep(FreeBlocks& free, void* block, std::size_t size) noexcept {
    try {
      free[size].push_back(block);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  void give_common(void* block, std::size_t size) noexcept {
    live_ -= size;
    if (keep(free_, block, size))
      cached_ += size;
    else
      backend_->give(block);
  }

  /// A block that somebody still has is like any other from now on.
  void dissolve(Pool* pool) noexcept {
    std::lock_guard lock(mutex_);
    std::erase_if(owner_of_, [&](const auto& entry) { return entry.second == pool; });
    for (auto& [size, blocks] : pool->free)
      for (void* block : blocks) give_common(block, size);
    delete pool;
  }

  static std::size_t rounded(std::size_t bytes) {
    return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }

  void trim_locked() {
    if (backend_ && cached_ > 0) backend_->synchronize();
    for (auto& [size, blocks] : free_)
      for (void* block : blocks) backend_->give(block);
    free_.clear();
    cached_ = 0;
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Staging> staging_;
  std::string why_not_;
  Kind kind_ = Kind::none;
  std::mutex mutex_;
  FreeBlocks free_;
  std::shared_ptr<Pool> pool_;                 // of the graph being recorded
  std::unordered_map<void*, Pool*> owner_of_;  // of blocks that belong to a graph, free or in use
  std::size_t live_ = 0, cached_ = 0, peak_held_ = 0;
};

/// Never destroyed: tensors in static variables outlive every destructor we could order.
State& state() {
  static State* const instance = new State;
  return *instance;
}

void require_no_recording(const char* what) {
  OCTET_CHECK(!state().recording, "gpu", "{} while a graph is being recorded", what);
}

}  // namespace

Kind kind() { return state().kind(); }
std::string description() { return state().description(); }
void require() { state().backend(); }
bool can_emulate() { return OCTET_EMULATED_GPU != 0; }
void use_emulated() { state().emulate(); }

std::shared_ptr<void> allocate(std::size_t bytes) {
  return {state().take(bytes), [bytes](void* block) { state().give(block, bytes); }};
}
void* scratch_acquire(std::size_t bytes) { return state().take(bytes); }
void scratch_release(void* memory, std::size_t bytes) {
  if (memory != nullptr) state().give(memory, bytes);
}
void trim() { state().trim(); }
MemoryStats memory_stats() { return state().stats(); }

void copy_from_host(void* to, const void* from, std::size_t bytes) {
  require_no_recording("a copy from the host");
  ++state().host_copies;
  if (bytes > 0) state().staging().copy_from_host(to, from, bytes);
}
void copy_to_host(void* to, const void* from, std::size_t bytes) {
  require_no_recording("a copy to the host");
  ++state().host_copies;
  if (bytes > 0) state().staging().copy_to_host(to, from, bytes);
}
std::size_t host_copies() { return state().host_copies; }
void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) state().backend().copy(to, from, bytes);
}
void zero(void* to, std::size_t bytes) {
  if (bytes > 0) state().backend().zero(to, bytes);
}

void fill(float* to, float value, std::size_t count) { state().backend().fill(to, value, count); }
void fill(int* to, int value, std::size_t count) { state().backend().fill(to, value, count); }
void sum(float* to, const float* a, const float* b, std::size_t count) { state().backend().sum(to, a, b, count); }

void* stream() { return state().backend().stream(); }
void synchronize() { state().backend().synchronize(); }

namespace {

/// A graph of a backend, and the memory that it works in.
struct Recorded {
  std::shared_ptr<Pool> memory;
  std::shared_ptr<void> graph;
};

}  // namespace

Graph Graph::record(const std::function<void()>& work) {
  require_no_recording("a recording begins");
  Backend& backend = state().backend();
  auto recorded = std::make_shared<Recorded>();
  backend.begin_recording();
  state().recording = true;
  state().begin_pool();
  std::vector<std::function<void()>> afterwards;
  const auto end = [&] {
    state().recording = false;
    afterwards.swap(state().after_recording);
    recorded->memory = state().end_pool();
    recorded->graph = backend.end_recording();
  };
  try {
    work();
  } catch (...) {
    try {
      end();
    } catch (const Error&) {  // the first one tells why
    }
    throw;
  }
  end();
  for (const auto& late : afterwards) late();
  Graph graph;
  graph.made_ = recorded;
  return graph;
}

void Graph::launch() const {
  OCTET_CHECK(defined(), "gpu", "a graph that was never recorded cannot run");
  state().backend().launch(static_cast<const Recorded*>(made_.get())->graph.get());
}

bool recording() { return state().recording; }

void after_recording(std::function<void()> work) {
  if (!state().recording) return work();
  state().after_recording.push_back(std::move(work));
}

OutsideGraph::OutsideGraph() : before_(std::exchange(state().outside_graph, true)) {}
OutsideGraph::~OutsideGraph() { state().outside_graph = before_; }

}  // namespace octet::gpu
