#include "core/npy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/file.h"
#include "core/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet {
namespace {

/// Without the syncs of write_file_atomically, which thousands of damaged files do not need; nor the one that ext4
/// makes when an existing file is emptied.
void write_plainly(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(Npy, round_trip) {
  test::TempFolder folder;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0, 3}, Shape{2, 3, 4, 5}, Shape{1, 1, 1, 1, 1, 7}}) {
    for (DType dtype : {DType::f32, DType::f64, DType::s8, DType::u8, DType::s32}) {
      Tensor t(shape, dtype);
      Random random(1, Purpose::test);
      for (std::size_t i = 0; i < t.nbytes(); ++i)
        static_cast<unsigned char*>(t.raw())[i] = static_cast<unsigned char>(random.bits());
      write_npy(folder / "a.npy", t);
      EXPECT_EQ(read_file(folder / "a.npy").size() % 64, t.nbytes() % 64) << "the data starts on a multiple of 64";
      const Tensor back = read_npy(folder / "a.npy");
      EXPECT_EQ(back.dtype(), dtype);
      EXPECT_EQ(back.shape(), shape);
      EXPECT_EQ(std::memcmp(back.raw(), t.raw(), t.nbytes()), 0);
    }
  }
}

TEST(Npy, header_is_numpys) {
  test::TempFolder folder;
  write_npy(folder / "a.npy", Tensor::zeros({2, 3}, DType::u8));
  const std::string bytes = read_file(folder / "a.npy");
  EXPECT_EQ(bytes.substr(1, 5), "NUMPY");
  EXPECT_EQ(bytes.substr(10, 58), "{'descr': '|u1', 'fortran_order': False, 'shape': (2,3,), ");
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.size(), 128u + 6u);
}

TEST(Npy, numpy_reads_it) {
  if (std::system("python3 -c 'import numpy' 2>/dev/null") != 0) GTEST_SKIP() << "python3 has no numpy here";
  test::TempFolder folder;
  write_npy(folder / "a.npy", Tensor::from<std::int32_t>({2, 2}, std::vector<std::int32_t>{1, -2, 3, 400000}));
  const std::string command = "python3 -c \"import numpy as n; a = n.load('" + (folder / "a.npy") +
                              "'); assert a.tolist() == [[1, -2], [3, 400000]] and a.dtype == n.int32; n.save('" +
                              (folder / "b.npy") + "', a * 2)\"";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_npy(folder / "b.npy").at(3), 800000);
}

TEST(Npy, refuses_what_it_cannot_hold) {
  test::TempFolder folder;
  EXPECT_ERROR(write_npy(folder / "a.npy", Tensor::zeros({1}, DType::bf16)), "bf16 has no name");
  EXPECT_ERROR(write_npy(folder / "a.npy", Tensor()), "undefined");
}

TEST(Npy, damaged_files_are_refused) {
  test::TempFolder folder;
  const std::string path = folder / "a.npy";
  write_npy(path, Tensor::full({3, 2}, 1.5));
  const std::string good = read_file(path);
  for (std::size_t length = 0; length < good.size(); ++length) {
    write_plainly(folder / "cut.npy", good.substr(0, length));
    EXPECT_ERROR(read_npy(folder / "cut.npy"), "cut.npy");
  }
  Random random(2, Purpose::test);
  for (int i = 0; i < 5000; ++i) {  // a changed header is refused or still describes as many bytes
    std::string bad = good;
    bad[random.below(128)] ^= static_cast<char>(1 << random.below(8));
    write_plainly(folder / "bad.npy", bad);
    try {
      EXPECT_LE(read_npy(folder / "bad.npy").nbytes(), good.size());
    } catch (const Error&) {
    }
  }
  write_plainly(path, good + "x");
  EXPECT_ERROR(read_npy(path), "25 bytes of data");
}

}  // namespace
}  // namespace octet
