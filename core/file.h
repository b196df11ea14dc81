// Files: whole reads with a limit, writes that never leave a half-written file, mappings, and a checksum.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace octet {

/// Takes the bytes of a file that is being written, in order. Throws Error when the disk is full.
class FileSink {
 public:
  virtual void write(const void* bytes, std::size_t count) = 0;
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

 protected:
  ~FileSink() = default;
};

/// Writes beside `path`, syncs, renames over it and syncs the folder, so that at any moment the old or the new file is
/// there in full. Mode 0644 less the umask. A symbolic link is followed; anything else that is no regular file is
/// refused. On failure (also when `produce` throws) the file written aside is removed, `path` stays as it was, and
/// Error tells why. Leftovers of killed processes beside `path` are removed.
void write_file_atomically(const std::string& path, const std::function<void(FileSink&)>& produce);
void write_file_atomically(const std::string& path, std::string_view bytes);

/// Throws Error as writing `path` would: it is no file, its folder is missing or closed, the disk is full. Nothing is left behind. For
/// long work, which shall not end with a path that was wrong from its beginning.
void require_writable(const std::string& path);

/// The whole regular file. Throws Error when it cannot be read or is longer than `max_bytes`.
std::string read_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 34);

/// A regular file read in pieces, by several threads if need be.
class InputFile {
 public:
  /// Throws Error as read_file does.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::size_t size() const { return size_; }
  /// Bytes [offset, offset + count). Throws Error when the file has become shorter.
  void read(void* to, std::size_t count, std::size_t offset) const;

 private:
  std::string path_;
  int fd_ = -1;
  std::size_t size_ = 0;
};

/// Appends `line` and a newline with one write, making the file when there is none; `synced`: it is on the disk when this returns.
void append_line(const std::string& path, std::string_view line, bool synced = false);

/// Cuts a last line without a newline, which a killed append_line may leave. True when something was cut; a missing
/// file is left missing.
bool cut_torn_line(const std::string& path);

/// A regular file mapped into memory: writable in this process, never written back.
class MappedFile {
 public:
  /// Throws Error as read_file does.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  char* data() { return data_; }
  std::size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// CRC-32C (Castagnoli: reflected polynomial 0x82F63B78, start and final XOR 0xFFFFFFFF). `before` is the result for
/// the bytes that precede these.
std::uint32_t crc32c(const void* bytes, std::size_t count, std::uint32_t before = 0);

}  // namespace octet
