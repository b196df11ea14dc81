// Copies between host and device by way of page-locked memory: the bus moves it without the driver's own copy, and
// while one piece is on its way the next is filled or emptied.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>

#include "core/gpu/backend.h"

namespace octet::gpu {

/// A ring of page-locked buffers, made at the first copy. Where there is no such memory, copies go without. Safe for
/// several threads, whose copies take turns.
class Staging {
 public:
  static constexpr std::size_t kBuffers = 4, kBytes = std::size_t{1} << 20;

  explicit Staging(Backend& backend) : backend_(backend) {}
  ~Staging();
  Staging(const Staging&) = delete;
  /// Returns when the bytes are taken; they arrive in the order of the stream.
  void copy_from_host(void* to, const void* from, std::size_t bytes);
  /// Returns when the bytes are there.
  void copy_to_host(void* to, const void* from, std::size_t bytes);

 private:
  struct Buffer {
    void* memory = nullptr;
    std::shared_ptr<void> mark;  ///< of the last copy that used it
  };
  /// False when the host has no page-locked memory to give.
  bool ready();
  Backend& backend_;
  std::mutex mutex_;
  std::array<Buffer, kBuffers> ring_;
  std::size_t next_ = 0;
  bool tried_ = false;
};

}  // namespace octet::gpu
