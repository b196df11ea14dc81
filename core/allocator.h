// Caching allocator: a training step that repeats gets the addresses of the step before.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace octet {

/// 64-byte aligned memory, kept for the next request when the last owner lets go: small blocks by their exact size, large ones
/// in an arena where neighbours join (core/arena.h). Contents are unspecified. Throws Error above 2^39 bytes and when the
/// system has none left. Thread-safe.
std::shared_ptr<void> allocate(std::size_t bytes);

struct AllocatorStats {
  std::uint64_t system_allocations = 0;  ///< requests that memory in hand could not serve
  std::uint64_t reused = 0;              ///< requests that it could
  std::size_t bytes_live = 0;            ///< in use now
  std::size_t bytes_cached = 0;          ///< waiting for the next request
  std::size_t peak_live = 0;             ///< most bytes_live ever
  std::size_t peak_held = 0;             ///< most bytes_live + bytes_cached ever: what the system had to give
};
AllocatorStats allocator_stats();
/// Gives every cached block back to the system.
void allocator_trim();

/// Plain C pair for kernels, which must not use shared_ptr: scratch memory for the length of a call.
void* scratch_acquire(std::size_t bytes);
void scratch_release(void* memory, std::size_t bytes);

}  // namespace octet
