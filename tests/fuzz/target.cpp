#include "tests/fuzz/target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  octet::fuzz::accepts({reinterpret_cast<const char*>(data), size});
  return 0;
}

namespace octet::fuzz {

void found(const char* message) {
  std::fprintf(stderr, "%s\n", message);
  std::abort();
}

MemoryFile::MemoryFile(std::string_view bytes) : fd_(::memfd_create("input", MFD_CLOEXEC)) {
  if (fd_ < 0) found("memfd_create failed");
  path_ = "/proc/self/fd/" + std::to_string(fd_);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t done = ::write(fd_, bytes.data() + at, bytes.size() - at);
    if (done <= 0) found("a memory file cannot be written");
    at += static_cast<std::size_t>(done);
  }
}

MemoryFile::~MemoryFile() { ::close(fd_); }

}  // namespace octet::fuzz
