#include "core/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

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

// A request of this size or more takes a larger free block when there is none of its own, up to so many times as large: the
// last batch of an epoch, an evaluation and a gradient live in what is there.
constexpr std::size_t kLent = 4096, kMostTimes = 32;

// A fault on a huge page clears 2 MiB at once instead of 4 KiB 512 times: a net's first step is that much shorter.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

#if defined(OCTET_ASAN)
bool is_mapped(std::size_t) { return false; }  // so that its red zones surround every block
#else
bool is_mapped(std::size_t size) { return size >= kHugePage; }
#endif

/// Memory at a multiple of a huge page; null when there is none.
void* map(std::size_t size) {
  const std::size_t wide = size + kHugePage;
  void* const mapped = ::mmap(nullptr, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  char* const block = begin + (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  static const auto kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  char* const end = block + (size + kPage - 1) / kPage * kPage;
  if (block > begin) ::munmap(begin, static_cast<std::size_t>(block - begin));
  if (end < begin + wide) ::munmap(end, static_cast<std::size_t>(begin + wide - end));
#if defined(MADV_HUGEPAGE)
  ::madvise(block, size, MADV_HUGEPAGE);
#endif
  return block;
}

void* system_take(std::size_t size) { return is_mapped(size) ? map(size) : std::aligned_alloc(kAlignment, size); }

void system_give(void* block, std::size_t size) { is_mapped(size) ? static_cast<void>(::munmap(block, size)) : std::free(block); }

class Cache {
 public:
  void* take(std::size_t bytes) {
    OCTET_CHECK(bytes <= kMaxBytes, "allocator", "{} bytes asked for, more than 2^39", bytes);
    const std::size_t size = rounded(bytes);
    std::size_t capacity = size;
    void* block = take_cached(size, capacity);
    if (block == nullptr) block = take_new(size);
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    if (capacity > bytes) ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + bytes, capacity - bytes);
    return block;
  }

  void give(void* block, std::size_t bytes) noexcept {
    std::lock_guard lock(mutex_);
    const std::size_t size = capacity_of(block, rounded(bytes));
    stats_.bytes_live -= size;
    try {
      free_[size].push_back(block);
      stats_.bytes_cached += size;
      ASAN_POISON_MEMORY_REGION(block, size);
    } catch (const std::bad_alloc&) {
      ASAN_UNPOISON_MEMORY_REGION(block, size);
      system_give(block, size);
    }
  }

  void trim() {
    std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) {
        ASAN_UNPOISON_MEMORY_REGION(block, size);
        system_give(block, size);
      }
    }
    free_.clear();
    stats_.bytes_cached = 0;
  }

  AllocatorStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  static std::size_t rounded(std::size_t bytes) {
    return bytes == 0 ? kAlignment : (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// A block of exactly this size; for a large one else the least larger block, which then counts in full.
  void* take_cached(std::size_t size, std::size_t& capacity) {
    std::lock_guard lock(mutex_);
    auto found = free_.lower_bound(size);
    while (found != free_.end() && found->second.empty()) {
      if (size < kLent) return nullptr;
      ++found;
    }
    if (found == free_.end() || (found->first != size && (size < kLent || found->first / kMostTimes > size))) return nullptr;
    void* block = found->second.back();
    capacity = found->first;
    if (capacity != size) lent_.emplace(block, capacity);
    found->second.pop_back();
    ++stats_.reused;
    stats_.bytes_cached -= capacity;
    count_live(capacity);
    return block;
  }

  /// The caller holds the lock.
  std::size_t capacity_of(void* block, std::size_t size) {
    if (lent_.empty()) return size;
    const auto found = lent_.find(block);
    if (found == lent_.end()) return size;
    size = found->second;
    lent_.erase(found);
    return size;
  }

  void* take_new(std::size_t size) {
    void* block = system_take(size);
    if (block == nullptr) {
      trim();
      block = system_take(size);
    }
    if (block == nullptr) {
      fail("allocator", fmt::format("the system has no {} bytes left", size), "use a smaller batch or a smaller model");
    }
    std::lock_guard lock(mutex_);
    ++stats_.system_allocations;
    count_live(size);
    stats_.peak_held = std::max(stats_.peak_held, stats_.bytes_live + stats_.bytes_cached);
    return block;
  }

  void count_live(std::size_t size) {
    stats_.bytes_live += size;
    stats_.peak_live = std::max(stats_.peak_live, stats_.bytes_live);
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::unordered_map<void*, std::size_t> lent_;  ///< size of blocks that are larger than what was asked for
  AllocatorStats stats_;
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
