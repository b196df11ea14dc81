#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "core/cpu_features.h"
#include "core/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(File, writes_replaces_and_leaves_nothing_beside) {
  test::TempFolder folder;
  const std::string path = folder / "a";
  write_file_atomically(path, "first");
  EXPECT_EQ(read_file(path), "first");
  write_file_atomically(path, "");
  EXPECT_EQ(read_file(path), "");
  write_file_atomically(path, [](FileSink& sink) {
    sink.write("one ");
    sink.write("two");
  });
  EXPECT_EQ(read_file(path), "one two");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(File, mode_follows_the_umask) {
  test::TempFolder folder;
  for (const auto& [mask, mode] : {std::pair<mode_t, mode_t>{022, 0644}, {077, 0600}, {0, 0644}}) {
    const mode_t before = ::umask(mask);
    write_file_atomically(folder / "a", "x");
    ::umask(before);
    struct stat info {};
    ASSERT_EQ(::stat((folder / "a").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, mode);
  }
}

TEST(File, a_failing_producer_changes_nothing) {
  test::TempFolder folder;
  const std::string path = folder / "a";
  write_file_atomically(path, "old");
  EXPECT_THROW(write_file_atomically(path,
                                     [](FileSink& sink) {
                                       sink.write("half");
                                       throw std::runtime_error("stop");
                                     }),
               std::runtime_error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(File, a_full_disk_changes_nothing) {
  test::TempFolder folder;
  const std::string path = folder / "a";
  write_file_atomically(path, "old");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tiny = before;
  tiny.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tiny), 0);
  EXPECT_ERROR(write_file_atomically(path, std::string(10'000, 'x')), path);
  EXPECT_ERROR(append_line(path, std::string(10'000, 'x')), "file size limit");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_TRUE(cut_torn_line(path));
  write_file_atomically(path, std::string(10'000, 'x'));
  EXPECT_EQ(read_file(path).size(), 10'000u);
}

TEST(File, a_read_only_folder_is_a_clear_error) {
  test::TempFolder folder;
  write_file_atomically(folder / "a", "old");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // a user whom permissions bind, even when root runs the tests
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    try {
      write_file_atomically(folder / "a", "new");
    } catch (const Error& error) {
      const std::string text = error.what();
      ::_exit(text.find("Permission denied") != std::string::npos &&
                      text.find("HINT check the perm") != std::string::npos
                  ? 0
                  : 3);
    }
    ::_exit(4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::chmod(folder.path().c_str(), 0755);
  EXPECT_EQ(read_file(folder / "a"), "old");
}

TEST(File, follows_links_and_refuses_what_is_no_file) {
  test::TempFolder folder;
  write_file_atomically(folder / "a", "old");
  fs::create_symlink("a", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "a"), "new");
  fs::create_symlink("circle", folder / "circle");
  EXPECT_ERROR(write_file_atomically(folder / "circle", "x"), "symbolic links");
  fs::create_directory(folder / "sub");
  EXPECT_ERROR(write_file_atomically(folder / "sub", "x"), "folder or a device");
  EXPECT_ERROR(write_file_atomically("/dev/null", "x"), "folder or a device");
  EXPECT_ERROR(write_file_atomically(folder / "none/a", "x"), "No such file");
  EXPECT_ERROR(write_file_atomically(folder / "a/b", "x"), "cannot write");
  EXPECT_ERROR(write_file_atomically("", "x"), "names no file");
  EXPECT_ERROR(read_file(folder / "sub"), "folder or a device");
  EXPECT_ERROR(read_file("/dev/zero"), "folder or a device");
  EXPECT_ERROR(read_file(folder / "none"), "No such file");
  EXPECT_ERROR(MappedFile(folder / "none"), "No such file");
  EXPECT_ERROR(read_file(folder / "a", 2), "3 bytes, more than the 2");
}

TEST(File, a_bare_name_lands_in_the_working_folder) {
  test::TempFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("bare", "x");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder / "bare"), "x");
}

TEST(File, leftovers_of_dead_processes_go) {
  test::TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);  // now no process has this number
  const std::string dead = folder / (".a.tmp-" + std::to_string(child) + "-0");
  const std::string fresh = folder / (".a.tmp-" + std::to_string(child) + "-1");
  const std::string ours = folder / (".a.tmp-" + std::to_string(::getppid()) + "-0");
  const std::string other = folder / (".a.tmp-notes");
  for (const std::string& path : {dead, fresh, ours, other}) append_line(path, "x");
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const std::string& path : {dead, ours, other}) fs::last_write_time(path, long_ago);
  write_file_atomically(folder / "a", "x");
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(ours));
  EXPECT_TRUE(fs::exists(other));
}

TEST(File, lines_are_appended_and_torn_ones_cut) {
  test::TempFolder folder;
  const std::string path = folder / "log";
  EXPECT_FALSE(cut_torn_line(path));
  append_line(path, "one");
  append_line(path, "two");
  EXPECT_EQ(read_file(path), "one\ntwo\n");
  EXPECT_FALSE(cut_torn_line(path));
  write_file_atomically(path, "one\ntwo\nthr");
  EXPECT_TRUE(cut_torn_line(path));
  EXPECT_EQ(read_file(path), "one\ntwo\n");
  write_file_atomically(path, "torn");
  EXPECT_TRUE(cut_torn_line(path));
  EXPECT_EQ(read_file(path), "");
}

TEST(File, mappings_are_private) {
  test::TempFolder folder;
  const std::string path = folder / "a";
  write_file_atomically(path, "abc");
  {
    MappedFile file(path);
    ASSERT_EQ(file.size(), 3u);
    file.data()[0] = 'X';
    EXPECT_EQ(std::string_view(file.data(), 3), "Xbc");
  }
  EXPECT_EQ(read_file(path), "abc");
  write_file_atomically(path, "");
  EXPECT_EQ(MappedFile(path).size(), 0u);
}

TEST(File, crc32c_by_tables_and_by_instruction_agree) {
  std::string bytes(3000, '\0');
  std::uint32_t state = 5;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  const Isa usable = usable_isa();
  for (std::size_t begin = 0; begin < 9; ++begin)
    for (std::size_t count : {0, 1, 7, 8, 9, 63, 1000, 2991}) {
      cap_isa(Isa::reference);
      const std::uint32_t plain = crc32c(bytes.data() + begin, count, 77);
      cap_isa(usable);
      EXPECT_EQ(crc32c(bytes.data() + begin, count, 77), plain) << begin << ' ' << count;
    }
}

TEST(File, crc32c_is_castagnolis) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);  // the check value of the polynomial's catalogue entry
  EXPECT_EQ(crc32c("", 0), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8A9136AAu);    // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xFF').data(), 32), 0x62A8AB43u);  // RFC 3720, B.4
  Random random(1, Purpose::test);
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(random.bits());
  const std::uint32_t whole = crc32c(bytes.data(), bytes.size());
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 13) {
    ASSERT_EQ(crc32c(bytes.data() + cut, bytes.size() - cut, crc32c(bytes.data(), cut)), whole);
  }
}

TEST(File, RequireWritableLeavesNothingBehind) {
  const test::TempFolder folder;
  require_writable(folder / "new");
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
  write_file_atomically(folder / "old", "content");
  require_writable(folder / "old");
  EXPECT_EQ(read_file(folder / "old"), "content");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / ""), {}), 1);
  EXPECT_ERROR(require_writable(folder / "no/such/folder"), "no/such");
  EXPECT_ERROR(require_writable(folder / ""), "");
}

}  // namespace
}  // namespace octet
