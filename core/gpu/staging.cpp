#include "core/gpu/staging.h"

#include <algorithm>
#include <cstring>

namespace octet::gpu {

Staging::~Staging() {
  for (Buffer& buffer : ring_) {
    if (buffer.mark != nullptr) backend_.wait(buffer.mark.get());
    if (buffer.memory != nullptr) backend_.give_pinned(buffer.memory);
  }
}

bool Staging::ready() {
  if (!tried_) {
    tried_ = true;
    for (Buffer& buffer : ring_) {
      buffer.mark = backend_.make_mark();
      buffer.memory = backend_.take_pinned(kBytes);
      if (buffer.memory == nullptr) break;
    }
  }
  return ring_.back().memory != nullptr;
}

void Staging::copy_from_host(void* to, const void* from, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!ready()) {
    backend_.copy_from_host(to, from, bytes);
    return backend_.synchronize();
  }
  for (std::size_t done = 0; done < bytes; done += kBytes) {
    Buffer& buffer = ring_[next_++ % kBuffers];
    const std::size_t piece = std::min(kBytes, bytes - done);
    backend_.wait(buffer.mark.get());
    std::memcpy(buffer.memory, static_cast<const char*>(from) + done, piece);
    backend_.copy_from_host(static_cast<char*>(to) + done, buffer.memory, piece);
    backend_.set(buffer.mark.get());
  }
}

void Staging::copy_to_host(void* to, const void* from, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!ready()) {
    backend_.copy_to_host(to, from, bytes);
    return backend_.synchronize();
  }
  const std::size_t pieces = (bytes + kBytes - 1) / kBytes, first = next_;
  const auto size_of = [&](std::size_t piece) { return std::min(kBytes, bytes - piece * kBytes); };
  const auto empty = [&](std::size_t piece) {
    const Buffer& buffer = ring_[(first + piece) % kBuffers];
    backend_.wait(buffer.mark.get());
    std::memcpy(static_cast<char*>(to) + piece * kBytes, buffer.memory, size_of(piece));
  };
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    if (piece >= kBuffers) empty(piece - kBuffers);
    Buffer& buffer = ring_[next_++ % kBuffers];
    backend_.wait(buffer.mark.get());  // of a copy to the device, which still reads it
    backend_.copy_to_host(buffer.memory, static_cast<const char*>(from) + piece * kBytes, size_of(piece));
    backend_.set(buffer.mark.get());
  }
  for (std::size_t piece = pieces > kBuffers ? pieces - kBuffers : 0; piece < pieces; ++piece) empty(piece);
}

}  // namespace octet::gpu
