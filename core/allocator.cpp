#include "core/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/arena.h"
#include "core/error.h"

// Under AddressSanitizer a cached block is poisoned, so that a use after free is seen although it never left us.
#if defined(__SANITIZE_ADDRESS__)
#define OCTET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OCTET_ASAN 1
#endif
#endif
#if defined(OCTET_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) static_cast<void>(0)
#endif

namespace octet {
namespace {

constexpr std::size_t kAlignment = 64;
// Beyond any machine we run on, and under the 2^40 bytes at which AddressSanitizer ends the process.
constexpr std::size_t kMaxBytes = std::size_t{1} << 39;

// From here on blocks lie in the arena. Smaller ones come from the heap and are kept by their sizes.
#if defined(OCTET_ASAN)
constexpr std::size_t kLarge = kMaxBytes + 1;  // none: red zones shall surround every block
#else
constexpr std::size_t kLarge = std::size_t{16} << 10;
#endif

class Cache {
 public:
  void* take(std::size_t bytes) {
    OCTET_CHECK(bytes <= kMaxBytes, "allocator", "{} bytes asked for, more than 2^39", bytes);
    const std::size_t size = rounded(bytes);
    void* block = size < kLarge ? take_small(size) : take_large(size);
    if (block == nullptr) {
      fail("allocator", fmt::format("the system has no {} bytes left", size), "use a smaller batch or a smaller model");
    }
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
  }

  void give(void* block, std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    bytes_live_ -= size;
    try {
      if (size >= kLarge) return arena_.give(block, size);
      free_[size].push_back(block);
      small_cached_ += size;
      ASAN_POISON_MEMORY_REGION(block, size);
    } catch (const std::bad_alloc&) {
      ASAN_UNPOISON_MEMORY_REGION(block, size);
      if (size < kLarge) std::free(block);  // a large block is lost: without memory there is no list to put it on
    }
  }

  void trim() {
    std::lock_guard lock(mutex_);
    trim_locked();
  }

  AllocatorStats stats() {
    std::lock_guard lock(mutex_);
    return {small_blocks_ + arena_.fresh_takes(), reused_, bytes_live_, held() - bytes_live_, peak_live_, peak_held_};
  }

 private:
  static std::size_t rounded(std::size_t bytes) {
    const std::size_t unit = bytes < kLarge ? kAlignment : Arena::kPage;
    return bytes == 0 ? kAlignment : (bytes + unit - 1) / unit * unit;
  }

  void* take_small(std::size_t size) {
    std::lock_guard lock(mutex_);
    const auto found = free_.find(size);
    if (found != free_.end() && !found->second.empty()) {
      void* block = found->second.back();
      found->second.pop_back();
      small_cached_ -= size;
      count(size, true);
      return block;
    }
    void* block = std::aligned_alloc(kAlignment, size);
    if (block == nullptr) {
      trim_locked();
      block = std::aligned_alloc(kAlignment, size);
    }
    if (block == nullptr) return nullptr;
    ++small_blocks_;
    count(size, false);
    return block;
  }

  void* take_large(std::size_t size) {
    std::lock_guard lock(mutex_);
    const std::size_t before = arena_.fresh_takes();
    void* block = arena_.take(size);
    if (block == nullptr) {
      trim_locked();
      block = arena_.take(size);
    }
    if (block != nullptr) count(size, arena_.fresh_takes() == before);
    return block;
  }

  void trim_locked() {
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) {
        ASAN_UNPOISON_MEMORY_REGION(block, size);
        std::free(block);
      }
    }
    free_.clear();
    small_cached_ = 0;
    arena_.trim();
  }

  std::size_t held() const { return bytes_live_ + small_cached_ + arena_.bytes_cached(); }

  void count(std::size_t size, bool reused) {
    reused_ += reused;
    bytes_live_ += size;
    peak_live_ = std::max(peak_live_, bytes_live_);
    if (!reused) peak_held_ = std::max(peak_held_, held());
  }

  std::mutex mutex_;
  Arena arena_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  std::uint64_t small_blocks_ = 0, reused_ = 0;
  std::size_t small_cached_ = 0, bytes_live_ = 0, peak_live_ = 0, peak_held_ = 0;
};

/// Never destroyed: tensors in static variables outlive every destructor we could order.
Cache& cache() {
  static Cache* const instance = new Cache;
  return *instance;
}

}  // namespace

std::shared_ptr<void> allocate(std::size_t bytes) {
  return {cache().take(bytes), [bytes](void* block) { cache().give(block, bytes); }};
}

AllocatorStats allocator_stats() { return cache().stats(); }
void allocator_trim() { cache().trim(); }

void* scratch_acquire(std::size_t bytes) { return cache().take(bytes); }
void scratch_release(void* memory, std::size_t bytes) {
  if (memory != nullptr) cache().give(memory, bytes);
}

}  // namespace octet
