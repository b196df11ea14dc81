// What a kind of device has to offer; gpu.cpp does the rest.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace octet::gpu {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string description() const = 0;
  /// Null when there is no memory left.
  virtual void* take(std::size_t bytes) = 0;
  virtual void give(void* memory) = 0;
  /// Page-locked memory of the host; null when there is none left.
  virtual void* take_pinned(std::size_t bytes) = 0;
  virtual void give_pinned(void* memory) = 0;
  /// In the order of the stream; page-locked memory must stay as it is until they are done.
  virtual void copy_from_host(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes) = 0;
  /// A place in the stream: set() moves it to the end of what is there now, wait() until all before it is done; one that was never set
  /// waits for nothing.
  virtual std::shared_ptr<void> make_mark() = 0;
  virtual void set(void* mark) = 0;
  virtual void wait(void* mark) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void zero(void* to, std::size_t bytes) = 0;
  /// to[i] = value; to[i] = a[i] + b[i].
  virtual void fill(float* to, float value, std::size_t count) = 0;
  virtual void fill(int* to, int value, std::size_t count) = 0;
  virtual void sum(float* to, const float* a, const float* b, std::size_t count) = 0;
  virtual void* stream() = 0;
  virtual void synchronize() = 0;
  virtual void begin_recording() = 0;
  virtual std::shared_ptr<void> end_recording() = 0;
  virtual void launch(void* graph) = 0;
};

/// Null, and why, where there is no such device.
std::unique_ptr<Backend> cuda_backend(std::string& why_not);
std::unique_ptr<Backend> emulated_backend();

}  // namespace octet::gpu
