#include "core/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <utility>

#include "core/cpu_features.h"
#include "core/error.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

std::string hint_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "the disk is full: make room or choose another folder";
    case EFBIG:
      return "a file size limit was hit (ulimit -f)";
    case EACCES:
    case EPERM:
      return "check the permissions of the file and its folder";
    case EROFS:
      return "the file system is read-only: choose another folder";
    case ENOENT:
    case ENOTDIR:
      return "check the path: no such file or folder";
    case EMFILE:
    case ENFILE:
      return "too many open files (ulimit -n)";
    default:
      return {};
  }
}

[[noreturn]] void fail_errno(const std::string& action, const std::string& path, int error) {
  fail("file", fmt::format("cannot {} {}: {}", action, path, std::strerror(error)), hint_for(error));
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  /// Some file systems report a failed write only here.
  int close() { return ::close(std::exchange(fd_, -1)); }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// 0 or the errno of the failure.
int write_all(int fd, const void* bytes, std::size_t count) {
  const char* at = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = ::write(fd, at, count < (std::size_t{1} << 30) ? count : std::size_t{1} << 30);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno;
    at += done;
    count -= static_cast<std::size_t>(done);
  }
  return 0;
}

/// A file size limit shall be an Error, not the end of the process.
class IgnoreFileSizeSignal {
 public:
  IgnoreFileSizeSignal() {
    sigemptyset(&only_);
    sigaddset(&only_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  ~IgnoreFileSizeSignal() {
    if (sigismember(&before_, SIGXFSZ) == 0) {
      const timespec no_wait{};
      while (sigtimedwait(&only_, nullptr, &no_wait) > 0) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t only_{}, before_{};
};

class AsideFile final : public FileSink {
 public:
  AsideFile(const std::string& target, const std::string& aside)
      : target_(target), aside_(aside), fd_(aside, O_WRONLY | O_CREAT | O_EXCL, 0644) {
    if (!fd_.ok()) fail_errno("write", target_, errno);
  }
  ~AsideFile() {
    if (!renamed_) ::unlink(aside_.c_str());
  }

  using FileSink::write;
  void write(const void* bytes, std::size_t count) override {
    if (const int error = write_all(fd_.get(), bytes, count); error != 0) fail_errno("write", target_, error);
  }

  void finish(const std::string& folder) {
    if (::fsync(fd_.get()) != 0) fail_errno("write", target_, errno);
    if (fd_.close() != 0) fail_errno("write", target_, errno);
    if (::rename(aside_.c_str(), target_.c_str()) != 0) fail_errno("write", target_, errno);
    renamed_ = true;
    // The rename itself is in the folder. A file system without folder syncs says EINVAL: nothing more can be done.
    Descriptor dir(folder, O_RDONLY | O_DIRECTORY);
    if (dir.ok() && ::fsync(dir.get()) != 0 && errno != EINVAL) fail_errno("sync the folder of", target_, errno);
  }

 private:
  std::string target_, aside_;
  Descriptor fd_;
  bool renamed_ = false;
};

/// Where the bytes shall end up: links followed, devices and folders refused.
fs::path real_target(const std::string& path) {
  std::error_code ignored;
  fs::path target = path;
  for (int links = 0; fs::is_symlink(target, ignored); ++links) {
    OCTET_CHECK(links < 40, "file", "cannot write {}: too many symbolic links", path);
    const fs::path next = fs::read_symlink(target, ignored);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  OCTET_CHECK(target.has_filename(), "file", "cannot write {}: the path names no file", path);
  if (fs::exists(target, ignored) && !fs::is_regular_file(target, ignored)) {
    fail("file", fmt::format("cannot write {}: it is a folder or a device, not a file", path), "choose another name");
  }
  return target;
}

/// Files of this name written aside by processes that are gone. The age keeps processes of other machines, whose
/// numbers mean nothing here, safe on shared folders.
void remove_leftovers(const fs::path& folder, const std::string& prefix) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    long process = 0;
    const char* digits = name.data() + prefix.size();
    const auto parsed = std::from_chars(digits, name.data() + name.size(), process);
    if (parsed.ec != std::errc() || parsed.ptr == digits || *parsed.ptr != '-' || process <= 0) continue;
    struct stat info {};
    if (::stat(entries->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const bool gone = ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
    if (gone && std::time(nullptr) - info.st_mtime > 60) ::unlink(entries->path().c_str());
  }
}

std::size_t size_of_regular(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_errno("read", path, errno);
  OCTET_CHECK(S_ISREG(info.st_mode), "file", "cannot read {}: it is a folder or a device, not a file", path);
  return static_cast<std::size_t>(info.st_size);
}

std::array<std::array<std::uint32_t, 256>, 8> crc_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82F63B78u : 0u);
    table[0][i] = c;
  }
  for (std::size_t t = 1; t < 8; ++t) {
    for (std::size_t i = 0; i < 256; ++i) table[t][i] = (table[t - 1][i] >> 8) ^ table[0][table[t - 1][i] & 0xFF];
  }
  return table;
}

}  // namespace

void write_file_atomically(const std::string& path, const std::function<void(FileSink&)>& produce) {
  static std::atomic<unsigned> counter{0};
  const fs::path target = real_target(path);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  const std::string prefix = "." + target.filename().string() + ".tmp-";
  remove_leftovers(folder, prefix);
  const std::string aside = folder / fmt::format("{}{}-{}", prefix, ::getpid(), counter.fetch_add(1));
  IgnoreFileSizeSignal guard;
  AsideFile file(target.string(), aside);
  produce(file);
  file.finish(folder.string());
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  write_file_atomically(path, [bytes](FileSink& sink) { sink.write(bytes); });
}

void require_writable(const std::string& path) {
  std::error_code ignored;
  const std::string probe = fs::is_regular_file(path, ignored) ? path + ".probe" : path;
  write_file_atomically(probe, "");
  fs::remove(probe, ignored);
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
  Descriptor fd(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) fail_errno("read", path, errno);
  const std::size_t size = size_of_regular(fd.get(), path);
  OCTET_CHECK(size <= max_bytes, "file", "{} has {} bytes, more than the {} that are allowed", path, size, max_bytes);
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd.get(), bytes.data() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno("read", path, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

InputFile::InputFile(const std::string& path) : path_(path) {
  Descriptor fd(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) fail_errno("read", path, errno);
  size_ = size_of_regular(fd.get(), path);
  fd_ = fd.release();
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(void* to, std::size_t count, std::size_t offset) const {
  char* at = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(fd_, at, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno("read", path_, errno);
    OCTET_CHECK(got > 0, "file", "{} ends before byte {}: it became shorter while it was read", path_, offset + count);
    at += got, offset += static_cast<std::size_t>(got), count -= static_cast<std::size_t>(got);
  }
}

void append_line(const std::string& path, std::string_view line, bool synced) {
  IgnoreFileSizeSignal guard;
  Descriptor fd(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (!fd.ok()) fail_errno("append to", path, errno);
  std::string bytes(line);
  bytes += '\n';
  if (const int error = write_all(fd.get(), bytes.data(), bytes.size()); error != 0)
    fail_errno("append to", path, error);
  if (synced && ::fsync(fd.get()) != 0 && errno != EINVAL) fail_errno("append to", path, errno);
  if (fd.close() != 0) fail_errno("append to", path, errno);
}

bool cut_torn_line(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  const std::string bytes = read_file(path);
  if (bytes.empty() || bytes.back() == '\n') return false;
  const std::size_t newline = bytes.rfind('\n');
  const std::size_t keep = newline == std::string::npos ? 0 : newline + 1;
  if (::truncate(path.c_str(), static_cast<off_t>(keep)) != 0) fail_errno("shorten", path, errno);
  return true;
}

MappedFile::MappedFile(const std::string& path) {
  Descriptor fd(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) fail_errno("read", path, errno);
  size_ = size_of_regular(fd.get(), path);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd.get(), 0);
  if (mapped == MAP_FAILED) fail_errno("map", path, errno);
  data_ = static_cast<char*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

namespace {

/// By eight tables, whose look-ups do not wait for each other.
std::uint32_t crc_by_tables(const unsigned char* at, std::size_t count, std::uint32_t c) {
  static const auto table = crc_tables();
  for (; count >= 8; at += 8, count -= 8) {
    std::uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + 4, 4);
    low ^= c;
    c = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24] ^
        table[3][high & 0xFF] ^ table[2][(high >> 8) & 0xFF] ^ table[1][(high >> 16) & 0xFF] ^ table[0][high >> 24];
  }
  for (; count > 0; ++at, --count) c = (c >> 8) ^ table[0][(c ^ *at) & 0xFF];
  return c;
}

#if defined(__x86_64__)
/// By the processor's instruction for this very polynomial (SSE4.2).
[[gnu::target("sse4.2")]] std::uint32_t crc_by_instruction(const unsigned char* at, std::size_t count,
                                                           std::uint32_t before) {
  std::uint64_t c = before;
  for (; count >= 8; at += 8, count -= 8) {
    std::uint64_t eight;
    std::memcpy(&eight, at, 8);
    c = __builtin_ia32_crc32di(c, eight);
  }
  auto rest = static_cast<std::uint32_t>(c);
  for (; count > 0; ++at, --count) rest = __builtin_ia32_crc32qi(rest, *at);
  return rest;
}
#endif

}  // namespace

std::uint32_t crc32c(const void* bytes, std::size_t count, std::uint32_t before) {
  const auto* at = static_cast<const unsigned char*>(bytes);
#if defined(__x86_64__)
  if (usable_isa() >= Isa::avx2) return ~crc_by_instruction(at, count, ~before);
#endif
  return ~crc_by_tables(at, count, ~before);
}

}  // namespace octet
