// The CIFAR-10 reader: what it makes of good files, and of bad ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "data/dataset.h"
#include "tests/data/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRecord = 1 + data::kPictureBytes;

// Sets or clears a variable for the length of a test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before, had_ = true;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { had_ ? ::setenv(name_, before_.c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::string before_;
  bool had_ = false;
};

class WorkingFolder {
 public:
  explicit WorkingFolder(const fs::path& to) : before_(fs::current_path()) { fs::current_path(to); }
  ~WorkingFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

void put_full_set(const fs::path& folder) {
  fs::create_directories(folder);
  put(folder / "data_batch_1.bin", cifar_records(10000));
  for (const char* name :
       {"data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"})
    fs::create_hard_link(folder / "data_batch_1.bin", folder / name);
}

TEST(Cifar10File, PlanesBecomePixels) {
  const TempFolder folder;
  put(folder / "a.bin", cifar_records(13));
  const data::Dataset set = data::load_cifar10_file(folder / "a.bin");
  ASSERT_EQ(set.size(), 13);
  EXPECT_EQ(set.source, "cifar10");
  EXPECT_EQ(set.class_names.size(), 10u);
  EXPECT_EQ(set.class_names[3], "cat");
  EXPECT_EQ(set.pictures.shape(), (Shape{13, 32, 32, 3}));
  for (std::int64_t i = 0; i < 13; ++i) {
    EXPECT_EQ(set.labels.at(i), static_cast<double>(i % 10));
    for (std::int64_t j = 0; j < 1024; ++j)
      for (std::int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(set.pictures.at((i * 1024 + j) * 3 + c), static_cast<double>((i + 7 * c + j) % 251));
  }
  EXPECT_EQ(data::load_cifar10_file(folder / "a.bin", 13).size(), 13);
  EXPECT_EQ(set.first(4).size(), 4);
  EXPECT_EQ(set.first(4).pictures.shape(), (Shape{4, 32, 32, 3}));
  EXPECT_EQ(set.first(400).size(), 13);
  EXPECT_EQ(set.first(0).size(), 0);
  EXPECT_ERROR(set.first(-1), "");
}

TEST(Cifar10File, BadFilesAreNamed) {
  const TempFolder folder;
  const auto refused = [&](const std::string& bytes, const std::string& why, std::int64_t expected = 0) {
    put(folder / "bad.bin", bytes);
    EXPECT_ERROR(data::load_cifar10_file(folder / "bad.bin", expected), why);
    EXPECT_ERROR(data::load_cifar10_file(folder / "bad.bin", expected), "bad.bin");
  };
  const std::string good = cifar_records(3);
  refused("", "0 bytes");
  for (const std::size_t size : {std::size_t{1}, std::size_t{kRecord - 1}, std::size_t{kRecord + 1}, good.size() - 1})
    refused(good.substr(0, size), "no whole number of 1 to 10000 records");
  refused(good + "x", "no whole number");
  refused(good, "3 records instead of 10000", 10000);
  std::string label = good;
  label[2 * kRecord] = 10;
  refused(label, "record 2 has label 10");
  label[2 * kRecord] = static_cast<char>(255);
  refused(label, "record 2 has label 255");
  fs::resize_file(folder / "bad.bin", 10001 * kRecord);  // sparse
  EXPECT_ERROR(data::load_cifar10_file(folder / "bad.bin"), "bad.bin");
  fs::resize_file(folder / "bad.bin", std::uintmax_t{1} << 40);
  EXPECT_ERROR(data::load_cifar10_file(folder / "bad.bin"), "bad.bin");
}

TEST(Cifar10File, WhatIsNoReadableFile) {
  const TempFolder folder;
  EXPECT_ERROR(data::load_cifar10_file(folder / "none.bin"), "none.bin");
  fs::create_directory(folder / "folder.bin");
  EXPECT_ERROR(data::load_cifar10_file(folder / "folder.bin"), "folder");
  EXPECT_ERROR(data::load_cifar10_file("/dev/zero"), "/dev/zero");
  put(folder / "locked.bin", cifar_records(1));
  fs::permissions(folder / "locked.bin", fs::perms::none);
  const bool root = ::geteuid() == 0;  // who reads every file
  if (root && ::seteuid(65534) != 0) GTEST_SKIP() << "cannot become another user than root";
  EXPECT_ERROR(data::load_cifar10_file(folder / "locked.bin"), "check the permissions");
  if (root && ::seteuid(0) != 0) FAIL() << "cannot become root again";
}

TEST(Cifar10, AFullSetFromItsFolderOrItsParent) {
  const TempFolder folder;
  put_full_set(folder / "cifar-10-batches-bin");
  const data::Split split = data::load_cifar10(folder / "cifar-10-batches-bin");
  EXPECT_EQ(split.train.size(), 50000);
  EXPECT_EQ(split.test.size(), 10000);
  EXPECT_TRUE(same_bits(split.train.pictures.slice(40000, 50000), split.test.pictures));
  EXPECT_TRUE(same_bits(split.train.labels.slice(10000, 20000), split.test.labels));
  {
    const Environment data("OCTET_DATA", folder.path().c_str());
    const data::Split few = data::load("auto", {30, 0});
    EXPECT_EQ(few.train.source, "cifar10");
    EXPECT_EQ(few.train.size(), 30);
    EXPECT_EQ(few.test.size(), 10000);
  }
  const data::Split some =
      data::load_cifar10(folder.path().string(), {10007, 251});  // into the second file; more than one task
  EXPECT_TRUE(same_bits(some.train.pictures, split.train.pictures.slice(0, 10007)));
  EXPECT_TRUE(same_bits(some.train.labels, split.train.labels.slice(0, 10007)));
  EXPECT_TRUE(same_bits(some.test.pictures, split.test.pictures.slice(0, 251)));
  fs::create_directory(folder / "data");
  fs::rename(folder / "cifar-10-batches-bin", folder / "data/cifar-10-batches-bin");
  const Environment none("OCTET_DATA", nullptr);
  const WorkingFolder here(folder.path());
  EXPECT_EQ(data::load("auto").test.source, "cifar10");

  const std::string batch = folder / "data/cifar-10-batches-bin/data_batch_3.bin";
  fs::remove(batch);
  put(batch, cifar_records(9));
  EXPECT_ERROR(data::load("auto"), "data_batch_3.bin' has 9 records instead of 10000");
  fs::remove(batch);
  EXPECT_ERROR(data::load("auto"), "data_batch_3.bin");
  fs::create_directory(batch);
  EXPECT_ERROR(data::load("auto"), "data_batch_3.bin");
}

TEST(Cifar10, FoldersWithoutTheFiles) {
  const TempFolder folder;
  EXPECT_ERROR(data::load_cifar10(folder.path().string()), "no CIFAR-10 binary files");
  EXPECT_ERROR(data::load_cifar10(folder / "none"), "---> HINT");
  EXPECT_ERROR(data::load_cifar10(""), "no CIFAR-10 binary files");
  put(folder / "data_batch_1", "pickle");
  EXPECT_ERROR(data::load_cifar10(folder.path().string()), "Python (pickle) version");
  fs::create_directory(folder / "cifar-10-batches-py");
  fs::rename(folder / "data_batch_1", folder / "cifar-10-batches-py/data_batch_1");
  EXPECT_ERROR(data::load_cifar10(folder.path().string()), "get the binary version");
  const Environment data("OCTET_DATA", (folder / "none").c_str());
  EXPECT_ERROR(data::load("auto"), "none");  // a wrong variable is not passed over
}

TEST(Cifar10, AutoFallsBackToTheSyntheticSet) {
  const TempFolder folder;
  for (const char* empty : {static_cast<const char*>(nullptr), ""}) {
    const Environment none("OCTET_DATA", empty);
    const WorkingFolder here(folder.path());
    put("data", "a file, not a folder");
    const data::Split split = data::load("auto", {20, 10});
    EXPECT_EQ(split.train.source, "synthetic");
    EXPECT_EQ(split.train.size(), 20);
    EXPECT_EQ(split.test.size(), 10);
    EXPECT_TRUE(same_bits(data::load("synthetic", {20, 10}).train.pictures, split.train.pictures));
    EXPECT_ERROR(data::load("auto", {-1, 0}), "must not be negative");
  }
}

TEST(Cifar10, TheRealOne) {
  const char* dir = std::getenv("OCTET_DATA");
  if (dir == nullptr || *dir == '\0') GTEST_SKIP() << "OCTET_DATA is not set: the real CIFAR-10 is not tested";
  const data::Split split = data::load_cifar10(dir);
  ASSERT_EQ(split.train.size(), 50000);
  ASSERT_EQ(split.test.size(), 10000);
  for (const data::Dataset* set : {&split.train, &split.test}) {
    std::map<std::int32_t, std::int64_t> counts;
    for (const std::int32_t label : set->labels.span<std::int32_t>()) ++counts[label];
    ASSERT_EQ(counts.size(), 10u);
    for (const auto& [label, count] : counts) EXPECT_EQ(count, set->size() / 10) << label;
  }
  // Published means of the training pictures: 0.4914, 0.4822, 0.4465 of 255.
  double sums[3] = {0, 0, 0};
  const auto pixels = split.train.pictures.span<std::uint8_t>();
  for (std::size_t i = 0; i < pixels.size(); ++i) sums[i % 3] += pixels[i];
  const double expected[3] = {0.4914, 0.4822, 0.4465};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(sums[c] / (50000.0 * 1024 * 255), expected[c], 2e-3) << c;
}

}  // namespace
}  // namespace octet::test
