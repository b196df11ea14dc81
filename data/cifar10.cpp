#include <filesystem>

#include "core/file.h"
#include "core/parallel.h"
#include "data/dataset.h"

namespace octet::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRecord = 1 + kPictureBytes, kRecordsPerFile = 10000;
const std::vector<std::string> kClasses{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

// Planes R, G, B to interleaved pixels.
void interleave(const unsigned char* planes, std::uint8_t* pixels) {
  constexpr std::int64_t plane = kSide * kSide;
  for (std::int64_t i = 0; i < plane; ++i)
    for (std::int64_t c = 0; c < kChannels; ++c) pixels[i * kChannels + c] = planes[c * plane + i];
}

// The folder with the .bin files: `dir` or the official folder in it.
fs::path resolve(const std::string& dir) {
  std::error_code ignored;
  for (const fs::path& at : {fs::path(dir), fs::path(dir) / "cifar-10-batches-bin"})
    if (fs::exists(at / "test_batch.bin", ignored) || fs::exists(at / "data_batch_1.bin", ignored)) return at;
  for (const fs::path& at : {fs::path(dir), fs::path(dir) / "cifar-10-batches-py"})
    if (fs::exists(at / "data_batch_1", ignored))
      fail("cifar10", fmt::format("'{}' holds the Python (pickle) version", at.string()),
           "get the binary version, cifar-10-binary.tar.gz, for example with --download");
  fail("cifar10", fmt::format("no CIFAR-10 binary files in '{}'", dir),
       "it must hold data_batch_1.bin to data_batch_5.bin and test_batch.bin; or use --data synthetic, or --download");
}

Dataset join(const std::vector<Dataset>& parts) {
  std::int64_t count = 0;
  for (const Dataset& part : parts) count += part.size();
  Dataset all{"cifar10", Tensor({count, kSide, kSide, kChannels}, DType::u8), Tensor({count}, DType::s32), kClasses};
  std::int64_t at = 0;
  for (const Dataset& part : parts) {
    all.pictures.slice(at, at + part.size()).copy_from(part.pictures);
    all.labels.slice(at, at + part.size()).copy_from(part.labels);
    at += part.size();
  }
  return all;
}

}  // namespace

Dataset Dataset::first(std::int64_t count) const {
  if (count >= size()) return *this;
  return {source, pictures.slice(0, count), labels.slice(0, count), class_names};
}

Dataset load_cifar10_file(const std::string& path, std::int64_t expected) {
  const std::string bytes = read_file(path, kRecordsPerFile * kRecord + 1);
  const auto size = static_cast<std::int64_t>(bytes.size());
  OCTET_CHECK(size > 0 && size % kRecord == 0 && size <= kRecordsPerFile * kRecord, "cifar10",
              "'{}' has {} bytes, which is no whole number of 1 to {} records of {} bytes ---> HINT it is truncated or not the binary "
              "version of CIFAR-10; fetch it again",
              path, size, kRecordsPerFile, kRecord);
  const std::int64_t count = size / kRecord;
  OCTET_CHECK(expected == 0 || count == expected, "cifar10", "'{}' has {} records instead of {} ---> HINT fetch it again", path, count,
              expected);
  Dataset set{"cifar10", Tensor({count, kSide, kSide, kChannels}, DType::u8), Tensor({count}, DType::s32), kClasses};
  const auto* records = reinterpret_cast<const unsigned char*>(bytes.data());
  std::uint8_t* pixels = set.pictures.data<std::uint8_t>();
  std::int32_t* labels = set.labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    labels[i] = records[i * kRecord];
    OCTET_CHECK(labels[i] < static_cast<std::int32_t>(kClasses.size()), "cifar10", "'{}': record {} has label {}, above 9", path, i, labels[i]);
  }
  parallel_for((count + 255) / 256, [&](std::int64_t block) {
    for (std::int64_t i = block * 256; i < std::min(count, block * 256 + 256); ++i)
      interleave(records + i * kRecord + 1, pixels + i * kPictureBytes);
  });
  return set;
}

Split load_cifar10(const std::string& dir) {
  const fs::path folder = resolve(dir);
  std::vector<Dataset> parts;
  for (int i = 1; i <= 5; ++i)
    parts.push_back(load_cifar10_file((folder / fmt::format("data_batch_{}.bin", i)).string(), kRecordsPerFile));
  return {join(parts), load_cifar10_file((folder / "test_batch.bin").string(), kRecordsPerFile)};
}

}  // namespace octet::data
