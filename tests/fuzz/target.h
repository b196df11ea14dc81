// What a fuzz target is: a reader, fed with any bytes. Built with libFuzzer under the preset `fuzz`; in every other
// build replay.cpp feeds it the seeds of corpus/<target>.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace octet::fuzz {

/// True when the reader took `bytes` and everything behind it was done; false when it refused them with an Error. Any
/// other exception is a finding.
bool accepts(std::string_view bytes);

/// Ends the process with `message`: an answer was wrong.
[[noreturn]] void found(const char* message);

/// Bytes as a regular file of this process, for readers that take a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int fd_ = -1;
  std::string path_;
};

}  // namespace octet::fuzz
