// A folder for files that only this process needs, removed afterwards.
#pragma once
#include <filesystem>
#include <string>

namespace octet {

class ScratchFolder {
 public:
  /// Throws Error when it cannot be made.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  /// The path of a file in this folder.
  std::string path(const std::string& file) const { return (path_ / file).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace octet
