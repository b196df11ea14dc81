#include "core/gpu/emulated_backend.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "core/gpu/backend.h"
#include "core/gpu/elementwise.h"

namespace octet::gpu {
namespace {

using Work = std::vector<std::function<void()>>;

/// Of the graph being recorded; null when none is.
std::shared_ptr<Work> recorded;

/// Copies between host and device that are on their way: they are made as late as a device may make them, so that memory which somebody
/// changes or reads too early shows.
class Pending {
 public:
  void add(std::function<void()> copy) {
    const std::lock_guard lock(mutex_);
    copies_.push_back(std::move(copy));
  }
  void finish() {
    const std::lock_guard lock(mutex_);
    for (const auto& copy : copies_) copy();
    copies_.clear();
  }

 private:
  std::mutex mutex_;
  Work copies_;
};
Pending pending;

class EmulatedBackend : public Backend {
 public:
  std::string description() const override { return "emulated on the host"; }
  void* take(std::size_t bytes) override {
    void* memory = std::aligned_alloc(256, bytes);
    if (memory != nullptr) std::memset(memory, 0xa5, bytes);  // what was never written is seen
    return memory;
  }
  void give(void* memory) override { std::free(memory); }
  void* take_pinned(std::size_t bytes) override { return std::malloc(bytes); }
  void give_pinned(void* memory) override { std::free(memory); }
  void copy_from_host(void* to, const void* from, std::size_t bytes) override {
    pending.add([=] { std::memcpy(to, from, bytes); });
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes) override {
    pending.add([=] { std::memcpy(to, from, bytes); });
  }
  std::shared_ptr<void> make_mark() override { return std::make_shared<int>(0); }
  void set(void*) override {}
  void wait(void*) override { pending.finish(); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    emulator::perform([=] { std::memmove(to, from, bytes); });
  }
  void zero(void* to, std::size_t bytes) override {
    emulator::perform([=] { std::memset(to, 0, bytes); });
  }
  void fill(float* to, float value, std::size_t count) override { fill_f32_emulated(to, value, count, nullptr); }
  void fill(int* to, int value, std::size_t count) override { fill_s32_emulated(to, value, count, nullptr); }
  void sum(float* to, const float* a, const float* b, std::size_t count) override {
    sum_f32_emulated(to, a, b, count, nullptr);
  }
  void* stream() override { return nullptr; }
  void synchronize() override { pending.finish(); }
  void begin_recording() override { recorded = std::make_shared<Work>(); }
  std::shared_ptr<void> end_recording() override { return std::exchange(recorded, nullptr); }
  void launch(void* graph) override {
    pending.finish();
    for (const auto& work : *static_cast<Work*>(graph)) work();
  }
};

}  // namespace

void emulator::perform(std::function<void()> work) {
  if (recorded != nullptr) return recorded->push_back(std::move(work));
  pending.finish();
  work();
}

std::unique_ptr<Backend> emulated_backend() { return std::make_unique<EmulatedBackend>(); }

}  // namespace octet::gpu
