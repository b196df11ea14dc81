// Folders of pictures: layouts, the split, and everything that a folder may hold and should not.
#include "data/picture_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "tests/data/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace octet::test {
namespace {

namespace fs = std::filesystem;

class PictureFolder : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }
  /// A picture of one colour.
  void png(const std::string& name, std::uint8_t grey, int width = 32, int height = 32) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    const std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width * height * 3), grey);
    ASSERT_NE(stbi_write_png(path(name).c_str(), width, height, 3, pixels.data(), width * 3), 0);
  }
  void pngs(const std::string& folder, int count, std::uint8_t grey) const {
    for (int i = 0; i < count; ++i) png(fmt::format("{}/{}.png", folder, i), grey);
  }
  void parts() const {
    for (const char* part : {"train", "test"})
      pngs(std::string(part) + "/cat", 3, 10), pngs(std::string(part) + "/dog", 2, 200);
  }
  data::Split load(const data::Limits& limits = {}) const { return data::load_picture_folder(path(""), limits); }

  TempFolder folder_;
};

/// Pictures of one colour: which classes, with which colours, how often.
std::map<std::pair<std::int32_t, int>, int> content(const data::Dataset& set) {
  std::map<std::pair<std::int32_t, int>, int> counts;
  for (std::int64_t i = 0; i < set.size(); ++i)
    ++counts[{set.labels.data<std::int32_t>()[i], set.pictures.data<std::uint8_t>()[i * data::kPictureBytes]}];
  return counts;
}

TEST_F(PictureFolder, TrainAndTest) {
  parts();
  put(path("README.md"), "beside the parts");
  const data::Split split = load();
  EXPECT_EQ(split.train.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(split.test.class_names, split.train.class_names);
  EXPECT_EQ(split.train.source, "pictures");
  EXPECT_EQ(split.train.pictures.shape(), (Shape{5, 32, 32, 3}));
  const std::map<std::pair<std::int32_t, int>, int> expected{{{0, 10}, 3}, {{1, 200}, 2}};
  EXPECT_EQ(content(split.train), expected);
  EXPECT_EQ(content(split.test), expected);
}

TEST_F(PictureFolder, ClassesAloneAreSplitByName) {
  pngs("b", 60, 1), pngs("a", 40, 2), pngs("train", 20, 3);  // a class may be called train
  const data::Split split = load();
  EXPECT_EQ(split.train.class_names, (std::vector<std::string>{"a", "b", "train"}));
  EXPECT_EQ(split.train.size() + split.test.size(), 120);
  EXPECT_NEAR(static_cast<double>(split.test.size()), 24, 12);
  int to_test = 0;
  for (const auto& [name, count] : {std::pair{"b", 60}, {"a", 40}, {"train", 20}})
    for (int i = 0; i < count; ++i) to_test += data::falls_to_test(name, fmt::format("{}.png", i));
  EXPECT_EQ(split.test.size(), to_test);
  for (const auto& [key, count] : content(split.test))
    EXPECT_EQ(key.second, 2 - key.first + (key.first == 2 ? 3 : 0)) << count;

  // More pictures move none from part to part.
  const auto before = content(split.test);
  for (int i = 100; i < 130; ++i)
    if (!data::falls_to_test("a", fmt::format("{}.png", i))) png(fmt::format("a/{}.png", i), 2);
  EXPECT_EQ(content(load().test), before);
}

TEST_F(PictureFolder, TheSplitIsFixedForAllTime) {
  std::vector<int> numbers;
  for (int i = 0; i < 40; ++i)
    if (data::falls_to_test("cat", fmt::format("{}.png", i))) numbers.push_back(i);
  EXPECT_EQ(numbers, (std::vector<int>{12, 14, 15, 16, 17, 22, 26, 32}));
  int tests = 0;
  for (int i = 0; i < 10000; ++i) tests += data::falls_to_test("x", fmt::format("picture_{:05}.jpg", i));
  EXPECT_NEAR(tests, 2000, 120);
}

TEST_F(PictureFolder, FirstPicturesAreAMix) {
  pngs("train/a", 50, 1), pngs("train/b", 50, 2), pngs("test/a", 30, 1), pngs("test/b", 30, 2);
  const data::Split all = load(), few = load({20, 10});
  ASSERT_EQ(few.train.size(), 20);
  ASSERT_EQ(few.test.size(), 10);
  EXPECT_TRUE(same_bits(few.train.pictures, all.train.first(20).pictures.clone()));
  EXPECT_TRUE(same_bits(few.test.labels, all.test.first(10).labels.clone()));
  EXPECT_EQ(content(few.train).size(), 2u);
  EXPECT_EQ(content(few.test).size(), 2u);
}

TEST_F(PictureFolder, ResizesAndReadsEveryEnding) {
  png("train/a/wide.PNG", 50, 90, 20), png("train/a/x.png", 50, 1, 1), png("train/b/y.png", 50, 32, 32),
      png("test/a/x.png", 5), png("test/b/x.png", 5);
  const std::vector<std::uint8_t> grey(64 * 48 * 3, 100);
  ASSERT_NE(stbi_write_jpg(path("train/b/z.jpeg").c_str(), 64, 48, 3, grey.data(), 95), 0);
  ASSERT_NE(stbi_write_jpg(path("train/b/z.JPG").c_str(), 64, 48, 3, grey.data(), 95), 0);
  const data::Split split = load();
  ASSERT_EQ(split.train.size(), 5);
  for (std::int64_t i = 0; i < split.train.pictures.numel(); ++i) {
    const int value = split.train.pictures.data<std::uint8_t>()[i];
    ASSERT_TRUE(std::abs(value - 50) <= 1 || std::abs(value - 100) <= 4) << i << " " << value;
  }
}

TEST_F(PictureFolder, HiddenNamesArePassedOverAndLinksFollowed) {
  parts();
  put(path("train/.DS_Store"), "x"), put(path("train/cat/.hidden.png"), "no picture");
  fs::create_directories(path(".git/objects")), fs::create_directories(path("train/.cache"));
  png("elsewhere/x.png", 77);
  fs::create_symlink(path("elsewhere/x.png"), path("train/dog/link.png"));
  fs::rename(path("test/cat"), path("real_cat"));
  fs::create_directory_symlink(path("real_cat"), path("test/cat"));
  const data::Split split = load();
  EXPECT_EQ(split.train.size(), 6);
  EXPECT_EQ(split.test.size(), 5);
}

TEST_F(PictureFolder, WhatIsBrokenIsNamedInOneLine) {
  parts();
  const auto refused = [&](const std::string& name, const std::string& part) {
    SCOPED_TRACE(name);
    EXPECT_ERROR(load(), part);
    EXPECT_ERROR(load(), name);
    fs::remove_all(path(name));
    EXPECT_NO_THROW(load());
  };
  std::string bytes;
  stbi_write_png_to_func(
      [](void* to, void* from, int n) {
        static_cast<std::string*>(to)->append(static_cast<char*>(from), static_cast<std::size_t>(n));
      },
      &bytes, 16, 16, 3, std::vector<std::uint8_t>(768, 9).data(), 48);
  put(path("train/cat/cut.png"), bytes.substr(0, 60)), refused("train/cat/cut.png", "no PNG or JPEG");
  put(path("test/dog/empty.jpg"), ""), refused("test/dog/empty.jpg", "0 bytes");
  put(path("train/cat/notes.txt"), "notes"), refused("train/cat/notes.txt", "no .png, .jpg or .jpeg file");
  put(path("train/cat/noending"), bytes), refused("train/cat/noending", "no .png, .jpg or .jpeg file");
  png("train/cat/more/x.png", 1), refused("train/cat/more", "a folder inside a class");
  fs::create_directory_symlink(path("train"), path("train/cat/loop.png")),
      refused("train/cat/loop.png", "a folder inside a class");
  fs::create_symlink(path("train/cat/self.png"), path("train/cat/self.png")),
      refused("train/cat/self.png", "cannot read");
  fs::create_symlink(path("nowhere"), path("train/cat/dangling.png")), refused("train/cat/dangling.png", "cannot read");
  ASSERT_EQ(::mkfifo(path("train/cat/pipe.png").c_str(), 0600), 0);
  refused("train/cat/pipe.png", "no .png, .jpg or .jpeg file");
  png("train/lost.png", 1), refused("train/lost.png", "lies in no class");
  fs::create_directories(path("train/emu")), refused("train/emu", "holds no picture");
  pngs("train/emu", 1, 3), refused("train/emu", "has no folder in");
  pngs("test/emu", 1, 3), refused("test/emu", "has no folder in");
  pngs("train/a\xff", 1, 3), refused("train/a\xff", "no name in UTF-8");
  png("train/cat/line\nbreak.png", 3);
  EXPECT_ERROR(load(), "train/cat/line?break.png");
}

TEST_F(PictureFolder, UnreadableFilesAndFolders) {
  parts();
  ::chmod(path("").c_str(), 0755);
  const auto expect_unreadable = [&](const char* what) {
    ::chmod(path(what).c_str(), 0);
    const bool is_root = ::geteuid() == 0;
    if (is_root) {
      ASSERT_EQ(::seteuid(65534), 0);  // root reads everything
    }
    EXPECT_ERROR(load(), what);
    if (is_root) {
      ASSERT_EQ(::seteuid(0), 0);
    }
    ::chmod(path(what).c_str(), 0755);
  };
  expect_unreadable("train/cat/0.png");
  expect_unreadable("test/dog");
}

TEST_F(PictureFolder, TooFewAndTooMany) {
  EXPECT_ERROR(load(), "holds 0 class folders");
  EXPECT_ERROR(data::load_picture_folder(path("missing")), "missing");
  pngs("cat", 10, 1);
  EXPECT_ERROR(load(), "holds 1 class folders");
  png("dog/0.png", 1);
  std::vector<std::string> names;
  for (int i = 0; names.size() < 2; ++i)
    if (data::falls_to_test("dog", fmt::format("{}.png", i)) == names.empty())
      names.push_back(fmt::format("{}.png", i));
  fs::rename(path("dog/0.png"), path("dog/" + names[0]));
  EXPECT_ERROR(load(), "every picture of class 'dog' falls to the test part");
  png("dog/" + names[1], 1);
  EXPECT_EQ(load().train.class_names.size(), 2u);
  fs::remove_all(path("cat"));
  fs::remove(path("dog/" + names[0]));
  for (int i = 0, made = 0; made < 3; ++i)
    if (!data::falls_to_test("cat", fmt::format("{}.png", i))) png(fmt::format("cat/{}.png", i), 1), ++made;
  EXPECT_ERROR(load(), "none of the 4 pictures");
  pngs("test/cat", 1, 1), pngs("test/dog", 1, 1);
  EXPECT_ERROR(load(), "but none named 'train'");
}

TEST_F(PictureFolder, TooManyClasses) {
  for (int i = 0; i <= 10000; ++i) fs::create_directory(path(fmt::format("{}", i)));
  EXPECT_ERROR(load(), "holds 10001 class folders");
}

TEST_F(PictureFolder, ProgressCountsBothParts) {
  pngs("train/a", 90, 1), pngs("train/b", 20, 2), pngs("test/a", 3, 1), pngs("test/b", 3, 2);
  std::vector<std::int64_t> told;
  data::load_picture_folder(path(""), {}, [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 116);
    told.push_back(done);
  });
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 116);
}

TEST_F(PictureFolder, IsToldFromCifar10) {
  EXPECT_ERROR(data::load(path("")), "no CIFAR-10 binary files");
  EXPECT_ERROR(data::load(path("missing")), "no CIFAR-10 binary files");
  fs::create_directories(path("cifar-10-batches-bin"));
  put(path("cifar-10-batches-bin/test_batch.bin"), cifar_records(3));
  parts();
  EXPECT_ERROR(data::load(path("")), "data_batch_1.bin");  // of CIFAR-10, though not whole: no folder of pictures
  fs::rename(path("cifar-10-batches-bin"), path("cifar-10-batches-py"));
  put(path("cifar-10-batches-py/data_batch_1"), "pickle");
  EXPECT_ERROR(data::load(path("")), "Python (pickle) version");
  fs::remove_all(path("cifar-10-batches-py"));
  EXPECT_EQ(data::load(path("")).train.source, "pictures");
  ::setenv("OCTET_DATA", path("").c_str(), 1);
  EXPECT_EQ(data::load("auto", {2, 1}).train.size(), 2);
  ::unsetenv("OCTET_DATA");
}

}  // namespace
}  // namespace octet::test
