#include <algorithm>
#include <filesystem>
#include <memory>

#if defined(__x86_64__)
#include <tmmintrin.h>
#endif

#include "core/cpu_features.h"
#include "core/file.h"
#include "core/parallel.h"
#include "data/dataset.h"

namespace octet::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRecord = 1 + kPictureBytes, kRecordsPerFile = 10000;
const std::vector<std::string> kClasses{"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};

constexpr std::int64_t kPlane = kSide * kSide;

#if defined(__x86_64__)
// Which byte of a plane's 16 goes to each byte of the i-th 16 of their 48 bytes of pixels; -1: another plane's place.
struct Places {
  alignas(16) signed char at[kChannels][kChannels][16];  // [plane][i]
};
constexpr Places kPlaces = [] {
  Places places{};
  for (int plane = 0; plane < kChannels; ++plane)
    for (int to = 0; to < 48; ++to)
      places.at[plane][to / 16][to % 16] = to % 3 == plane ? static_cast<signed char>(to / 3) : -1;
  return places;
}();

__attribute__((target("ssse3"))) void interleave_by_shuffles(const unsigned char* planes, std::uint8_t* pixels) {
  const auto vector = [](const void* bytes) __attribute__((target("ssse3"))) {
    return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
  };
  for (std::int64_t i = 0; i < kPlane; i += 16)
    for (int part = 0; part < 3; ++part) {
      __m128i sum = _mm_shuffle_epi8(vector(planes + i), vector(kPlaces.at[0][part]));
      sum = _mm_or_si128(sum, _mm_shuffle_epi8(vector(planes + kPlane + i), vector(kPlaces.at[1][part])));
      sum = _mm_or_si128(sum, _mm_shuffle_epi8(vector(planes + 2 * kPlane + i), vector(kPlaces.at[2][part])));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels + 3 * i + 16 * part), sum);
    }
}
#endif

// Planes R, G, B to interleaved pixels.
void interleave(const unsigned char* planes, std::uint8_t* pixels) {
#if defined(__x86_64__)
  if (usable_isa() >= Isa::avx2) return interleave_by_shuffles(planes, pixels);  // which has SSSE3
#endif
  for (std::int64_t i = 0; i < kPlane; ++i)
    for (std::int64_t c = 0; c < kChannels; ++c) pixels[i * kChannels + c] = planes[c * kPlane + i];
}

// `dir` or the official folder in it, whichever holds .bin files; empty: neither.
fs::path binary_folder(const std::string& dir) {
  std::error_code ignored;
  for (const fs::path& at : {fs::path(dir), fs::path(dir) / "cifar-10-batches-bin"})
    if (fs::exists(at / "test_batch.bin", ignored) || fs::exists(at / "data_batch_1.bin", ignored)) return at;
  return {};
}

fs::path pickle_folder(const std::string& dir) {
  std::error_code ignored;
  for (const fs::path& at : {fs::path(dir), fs::path(dir) / "cifar-10-batches-py"})
    if (fs::exists(at / "data_batch_1", ignored)) return at;
  return {};
}

fs::path resolve(const std::string& dir) {
  if (const fs::path at = binary_folder(dir); !at.empty()) return at;
  if (const fs::path at = pickle_folder(dir); !at.empty())
    fail("cifar10", fmt::format("'{}' holds the Python (pickle) version", at.string()),
         "get the binary version, cifar-10-binary.tar.gz, for example with --download");
  fail("cifar10", fmt::format("no CIFAR-10 binary files in '{}'", dir),
       "it must hold data_batch_1.bin to data_batch_5.bin and test_batch.bin, or pictures as DIR/CLASS/*.png; or use "
       "--data synthetic, or --download");
}

// A file of records, its size checked.
class RecordFile {
 public:
  RecordFile(const std::string& path, std::int64_t expected)
      : file_(path), count_(static_cast<std::int64_t>(file_.size()) / kRecord) {
    const auto size = static_cast<std::int64_t>(file_.size());
    OCTET_CHECK(size > 0 && size % kRecord == 0 && size <= kRecordsPerFile * kRecord, "cifar10",
                "'{}' has {} bytes, which is no whole number of 1 to {} records of {} bytes ---> HINT it is truncated "
                "or not the binary "
                "version of CIFAR-10; fetch it again",
                path, size, kRecordsPerFile, kRecord);
    OCTET_CHECK(expected == 0 || count_ == expected, "cifar10",
                "'{}' has {} records instead of {} ---> HINT fetch it again", path, count_, expected);
  }
  std::int64_t count() const { return count_; }

  // Records [begin, end) as pictures and labels.
  void read(std::int64_t begin, std::int64_t end, std::uint8_t* pixels, std::int32_t* labels) const {
    const auto bytes = static_cast<std::size_t>((end - begin) * kRecord);
    const std::unique_ptr<unsigned char[]> records(new unsigned char[bytes]);
    file_.read(records.get(), bytes, static_cast<std::size_t>(begin * kRecord));
    for (std::int64_t i = 0; i < end - begin; ++i) {
      labels[i] = records[static_cast<std::size_t>(i * kRecord)];
      OCTET_CHECK(labels[i] < static_cast<std::int32_t>(kClasses.size()), "cifar10",
                  "'{}': record {} has label {}, above 9", file_.path(), begin + i, labels[i]);
      interleave(records.get() + i * kRecord + 1, pixels + i * kPictureBytes);
    }
  }

 private:
  InputFile file_;
  std::int64_t count_;
};

// The first `wanted` records of the files in a row; 0: all.
Dataset read_records(const std::vector<std::unique_ptr<RecordFile>>& files, std::int64_t wanted) {
  constexpr std::int64_t kBlock =
      250;  // of a file's records; what a task reads stays in the cache until it is interleaved
  std::int64_t count = 0;
  for (const auto& file : files) count += file->count();
  if (wanted > 0) count = std::min(count, wanted);
  struct Piece {
    const RecordFile* file;
    std::int64_t begin, end, at;
  };
  std::vector<Piece> pieces;
  std::int64_t at = 0;
  for (const auto& file : files)
    for (std::int64_t begin = 0; begin < file->count() && at < count; begin += kBlock) {
      const std::int64_t end = std::min({file->count(), begin + kBlock, begin + count - at});
      pieces.push_back({file.get(), begin, end, at});
      at += end - begin;
    }
  Dataset set{"cifar10", Tensor({count, kSide, kSide, kChannels}, DType::u8), Tensor({count}, DType::s32), kClasses};
  std::uint8_t* pixels = set.pictures.data<std::uint8_t>();
  std::int32_t* labels = set.labels.data<std::int32_t>();
  parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    const Piece& piece = pieces[static_cast<std::size_t>(i)];
    piece.file->read(piece.begin, piece.end, pixels + piece.at * kPictureBytes, labels + piece.at);
  });
  return set;
}

std::vector<std::unique_ptr<RecordFile>> one_file(const std::string& path, std::int64_t expected) {
  std::vector<std::unique_ptr<RecordFile>> files;
  files.push_back(std::make_unique<RecordFile>(path, expected));
  return files;
}

}  // namespace

Dataset Dataset::first(std::int64_t count) const {
  if (count >= size()) return *this;
  return {source, pictures.slice(0, count), labels.slice(0, count), class_names};
}

bool looks_like_cifar10(const std::string& dir) { return !binary_folder(dir).empty() || !pickle_folder(dir).empty(); }

Dataset load_cifar10_file(const std::string& path, std::int64_t expected) {
  return read_records(one_file(path, expected), 0);
}

Split load_cifar10(const std::string& dir, const Limits& limits) {
  const fs::path folder = resolve(dir);
  std::vector<std::unique_ptr<RecordFile>> train;
  for (int i = 1; i <= 5; ++i)
    train.push_back(
        std::make_unique<RecordFile>((folder / fmt::format("data_batch_{}.bin", i)).string(), kRecordsPerFile));
  const auto test = one_file((folder / "test_batch.bin").string(), kRecordsPerFile);
  return {read_records(train, limits.train), read_records(test, limits.test)};
}

}  // namespace octet::data
