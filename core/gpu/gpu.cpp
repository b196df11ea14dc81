#include "core/gpu/gpu.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "core/gpu/backend.h"
#include "core/gpu/elementwise.h"

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
  return OCTET_WITH_CUDA ? "leave --device cuda out to work on the processor" : "configure with -DOCTET_CUDA=ON where the CUDA toolkit is installed";
}

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

  void* take(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    auto& blocks = free_[size];
    void* block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      cached_ -= size;
    } else {
      block = backend().take(size);
      if (block == nullptr) {
        trim_locked();
        block = backend().take(size);
      }
      OCTET_CHECK(block != nullptr, "gpu", "the device has no {} bytes left ({} in use)", size, live_);
    }
    live_ += size;
    peak_held_ = std::max(peak_held_, live_ + cached_);
    return block;
  }

  void give(void* block, std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    live_ -= size;
    try {
      free_[size].push_back(block);
      cached_ += size;
    } catch (const std::bad_alloc&) {
      backend_->give(block);
    }
  }

  void trim() {
    std::lock_guard lock(mutex_);
    trim_locked();
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return {live_, peak_held_};
  }

  bool recording = false;

 private:
  static std::size_t rounded(std::size_t bytes) { return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment); }

  void trim_locked() {
    if (backend_ && cached_ > 0) backend_->synchronize();
    for (auto& [size, blocks] : free_)
      for (void* block : blocks) backend_->give(block);
    free_.clear();
    cached_ = 0;
  }

  std::unique_ptr<Backend> backend_;
  std::string why_not_;
  Kind kind_ = Kind::none;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
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
  if (bytes > 0) state().backend().copy_from_host(to, from, bytes);
}
void copy_to_host(void* to, const void* from, std::size_t bytes) {
  require_no_recording("a copy to the host");
  if (bytes > 0) state().backend().copy_to_host(to, from, bytes);
}
void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) state().backend().copy(to, from, bytes);
}
void zero(void* to, std::size_t bytes) {
  if (bytes > 0) state().backend().zero(to, bytes);
}

namespace {

/// Calls the form of an elementwise kernel that the device in use runs.
template <class Cuda, class Emulated>
void run_form([[maybe_unused]] Cuda cuda, [[maybe_unused]] Emulated emulated) {
  require();
#if OCTET_WITH_CUDA
  if (kind() == Kind::cuda) return cuda();
#endif
#if OCTET_EMULATED_GPU
  if (kind() == Kind::emulated) return emulated();
#endif
}

}  // namespace

#if OCTET_WITH_CUDA
#define OCTET_CUDA_FORM(call) [&] { call; }
#else
#define OCTET_CUDA_FORM(call) [] {}
#endif
#if OCTET_EMULATED_GPU
#define OCTET_EMULATED_FORM(call) [&] { call; }
#else
#define OCTET_EMULATED_FORM(call) [] {}
#endif

void fill([[maybe_unused]] float* to, [[maybe_unused]] float value, [[maybe_unused]] std::size_t count) {
  run_form(OCTET_CUDA_FORM(fill_f32_cuda(to, value, count, stream())), OCTET_EMULATED_FORM(fill_f32_emulated(to, value, count, stream())));
}
void fill([[maybe_unused]] int* to, [[maybe_unused]] int value, [[maybe_unused]] std::size_t count) {
  run_form(OCTET_CUDA_FORM(fill_s32_cuda(to, value, count, stream())), OCTET_EMULATED_FORM(fill_s32_emulated(to, value, count, stream())));
}
void sum([[maybe_unused]] float* to, [[maybe_unused]] const float* a, [[maybe_unused]] const float* b, [[maybe_unused]] std::size_t count) {
  run_form(OCTET_CUDA_FORM(sum_f32_cuda(to, a, b, count, stream())), OCTET_EMULATED_FORM(sum_f32_emulated(to, a, b, count, stream())));
}

void* stream() { return state().backend().stream(); }
void synchronize() { state().backend().synchronize(); }

Graph Graph::record(const std::function<void()>& work) {
  require_no_recording("a recording begins");
  Backend& backend = state().backend();
  backend.begin_recording();
  state().recording = true;
  try {
    work();
  } catch (...) {
    state().recording = false;
    backend.end_recording();
    throw;
  }
  state().recording = false;
  Graph graph;
  graph.made_ = backend.end_recording();
  return graph;
}

void Graph::launch() const {
  OCTET_CHECK(defined(), "gpu", "a graph that was never recorded cannot run");
  state().backend().launch(made_.get());
}

bool recording() { return state().recording; }

}  // namespace octet::gpu
