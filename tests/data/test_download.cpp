// The download, against archives of our own behind file:// addresses.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/file.h"
#include "data/download.h"
#include "tests/data/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#if OCTET_WITH_DOWNLOAD
#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>

namespace octet::test {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string path, bytes, link = {};
};

std::string packed(const std::vector<Entry>& entries) {
  std::string memory(std::size_t{1} << 20, '\0');
  std::size_t used = 0;
  archive* out = archive_write_new();
  archive_write_add_filter_gzip(out);
  archive_write_set_format_ustar(out);
  archive_write_open_memory(out, memory.data(), memory.size(), &used);
  for (const Entry& e : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, e.path.c_str());
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, e.link.empty() ? AE_IFREG : AE_IFLNK);
    if (!e.link.empty()) archive_entry_set_symlink(entry, e.link.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(e.bytes.size()));
    archive_write_header(out, entry);
    if (!e.bytes.empty()) archive_write_data(out, e.bytes.data(), e.bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
  return memory.substr(0, used);
}

// Bytes that gzip cannot shorten, different for each name.
std::string content_of(const std::string& name) {
  std::string bytes;
  std::uint32_t x = crc32c(name.data(), name.size());
  for (int i = 0; i < 20000; ++i) bytes += static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
  return bytes;
}

const std::vector<std::string> kNames{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                      "data_batch_5.bin", "test_batch.bin",   "batches.meta.txt"};

std::vector<Entry> official(const std::string& prefix = "cifar-10-batches-bin/") {
  std::vector<Entry> entries{{prefix + "readme.html", "text"}};
  for (const std::string& name : kNames) entries.push_back({prefix + name, content_of(name)});
  return entries;
}

std::string md5(const std::string& bytes) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), sum, &length, EVP_md5(), nullptr);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", sum[i]);
  return text;
}

class Download : public ::testing::Test {
 protected:
  void serve(const std::string& bytes, const std::string& name = "source.tar.gz") {
    put(folder_ / name, bytes);
    url_ = "file://" + (folder_ / name);
    md5_ = md5(bytes);
  }
  std::string get(const data::DownloadProgress& progress = {}) {
    return data::download_cifar10(target(), url_, progress, md5_);
  }
  std::string target() const { return folder_ / "target"; }
  std::string part() const { return target() + "/cifar-10-binary.tar.gz.part"; }
  std::string made(const std::string& name) const { return target() + "/cifar-10-batches-bin/" + name; }
  void expect_complete() const {
    for (const std::string& name : kNames) EXPECT_EQ(read_file(made(name)), content_of(name)) << name;
    EXPECT_FALSE(fs::exists(made("readme.html")));
    EXPECT_FALSE(fs::exists(part()));
  }

  TempFolder folder_;
  std::string url_, md5_;
};

TEST_F(Download, FetchesChecksAndUnpacks) {
  serve(packed(official()));
  std::int64_t last = 0, total = 0;
  EXPECT_EQ(get([&](std::int64_t done, std::int64_t of) {
              EXPECT_GE(done, last);
              last = done, total = of;
            }),
            target() + "/cifar-10-batches-bin");
  expect_complete();
  EXPECT_EQ(total, static_cast<std::int64_t>(fs::file_size(folder_ / "source.tar.gz")));
  EXPECT_EQ(last, total);
  url_ = "file:///nowhere";  // nothing to do: nothing is asked for
  EXPECT_EQ(get(), target() + "/cifar-10-batches-bin");
  fs::remove(made("test_batch.bin"));
  EXPECT_ERROR(get(), "/nowhere");
}

TEST_F(Download, GoesOnWhereItBrokeOff) {
  const std::string bytes = packed(official());
  serve(bytes);
  for (const std::size_t had : {std::size_t{0}, std::size_t{1}, bytes.size() / 2, bytes.size() - 1, bytes.size()}) {
    fs::remove_all(target());
    fs::create_directories(target());
    put(part(), bytes.substr(0, had));
    std::int64_t first = -1;
    get([&](std::int64_t done, std::int64_t) { first = first < 0 ? done : first; });
    expect_complete();
    if (first >= 0) {
      EXPECT_GE(first, static_cast<std::int64_t>(had));
    }
  }
  fs::remove_all(target());
  fs::create_directories(target());
  put(part(), bytes);
  url_ = "file:///nowhere";  // all is there already: it is only unpacked
  get();
  expect_complete();
}

TEST_F(Download, AWrongSumRemovesTheFile) {
  serve(packed(official()));
  const std::string right = md5_;
  md5_ = std::string(32, '0');
  EXPECT_ERROR(get(), right + " instead of 00000000000000000000000000000000");
  EXPECT_FALSE(fs::exists(part()));
  EXPECT_FALSE(fs::exists(made("test_batch.bin")));
  EXPECT_ERROR(data::download_cifar10(target(), url_), data::kCifar10Md5);  // the default is the official sum
  md5_ = right;
  put(part(), std::string(1000, 'x'));  // someone else's beginning
  EXPECT_ERROR(get(), "the file was removed; run it again");
  put(part(), std::string(1000000, 'x'));  // longer than the source
  EXPECT_ERROR(get(), "instead of");
  get();
  expect_complete();
}

TEST_F(Download, ThePythonVersionGetsAHint) {
  serve(packed({{"cifar-10-batches-py/data_batch_1", "pickle"}, {"cifar-10-batches-py/test_batch", "pickle"}}));
  EXPECT_ERROR(get(), "Python (pickle) version ---> HINT get cifar-10-binary.tar.gz");
  serve("anything", "cifar-10-python.tar.gz");
  md5_ = std::string(32, '0');
  fs::remove(part());
  EXPECT_ERROR(get(), "the binary one is cifar-10-binary.tar.gz");
}

TEST_F(Download, PathsInTheArchiveDoNotMatter) {
  auto entries = official("../../../evil/");
  entries[1].path = "/" + entries[1].path;
  entries.push_back({"../outside.txt", "evil"});
  serve(packed(entries));
  get();
  expect_complete();
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(entry.is_directory() || name == "source.tar.gz" ||
                entry.path().parent_path().filename() == "cifar-10-batches-bin")
        << entry.path();
  }
  EXPECT_FALSE(fs::exists(folder_ / "outside.txt"));
}

TEST_F(Download, LinksAreNotFiles) {
  auto entries = official();
  entries[3] = {entries[3].path, "", "/etc/passwd"};
  serve(packed(entries));
  EXPECT_ERROR(get(), "lacks files");
  EXPECT_FALSE(fs::exists(fs::symlink_status(made(kNames[2]))));
}

TEST_F(Download, ArchivesThatLackFilesOrAreDamaged) {
  auto entries = official();
  entries.erase(entries.begin() + 4);
  serve(packed(entries));
  EXPECT_ERROR(get(), "the archive lacks files of CIFAR-10");
  EXPECT_FALSE(fs::exists(made(kNames[3])));
  const std::string whole = packed(official());
  for (const std::string& bad : {std::string("no archive at all"), std::string(), whole.substr(0, whole.size() / 2),
                                 whole.substr(0, whole.size() / 2) + whole}) {
    fs::remove_all(target());
    serve(bad);
    EXPECT_ERROR(get(), "[download]");
    EXPECT_FALSE(fs::exists(made("batches.meta.txt")));
  }
}

TEST_F(Download, SourcesAndFoldersThatAreNot) {
  serve(packed(official()));
  const std::string good = url_;
  for (const char* url : {"file:///nowhere.tar.gz", "", "gopher://x/", "not an address"}) {
    url_ = url;
    EXPECT_ERROR(get(), "[download]");
  }
  url_ = good;
  put(folder_ / "file", "x");
  EXPECT_ERROR(data::download_cifar10(folder_ / "file", url_, {}, md5_), "cannot make the folder");
}

TEST_F(Download, AFullDiskAndAThrowingProgress) {
  serve(packed(official()));
  EXPECT_THROW(get([](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); }), std::runtime_error);
  fs::remove(part());
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  fs::create_symlink("/dev/full", part());
  EXPECT_ERROR(get(), "is the disk full?");
}

}  // namespace
}  // namespace octet::test
#endif
