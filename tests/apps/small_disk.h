// A disk that is full soon.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace octet::test {

/// A file system of a few megabytes, gone with the object. Takes root.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& folder) : folder_(folder) {
    std::filesystem::create_directory(folder);
    mounted_ = shell("mount -t tmpfs -o size=2500k octet-test '" + folder + "'");
  }
  ~SmallDisk() {
    if (mounted_) shell("umount '" + folder_ + "'");
  }
  SmallDisk(const SmallDisk&) = delete;
  bool is_there() const { return mounted_; }
  void grow() const { EXPECT_TRUE(shell("mount -o remount,size=50m '" + folder_ + "'")); }

 private:
  static bool shell(const std::string& command) { return std::system((command + " > /dev/null 2>&1").c_str()) == 0; }
  std::string folder_;
  bool mounted_ = false;
};

}  // namespace octet::test
