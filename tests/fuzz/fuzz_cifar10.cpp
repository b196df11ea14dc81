// data/cifar10: a file of records.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "data/dataset.h"
#include "tests/fuzz/container.h"
#include "tests/fuzz/target.h"

namespace octet::fuzz {
namespace {

constexpr std::size_t kRecord = 1 + data::kPictureBytes, kPlane = data::kSide * data::kSide;

}  // namespace

bool accepts(std::string_view bytes) {
  const MemoryFile file(bytes);
  try {
    const data::Dataset set = data::load_cifar10_file(file.path());
    if (static_cast<std::size_t>(set.size()) * kRecord != bytes.size()) found("a record was lost");
    for (std::int64_t i = 0; i < set.size(); ++i) {
      const auto* record = reinterpret_cast<const std::uint8_t*>(bytes.data()) + static_cast<std::size_t>(i) * kRecord;
      const std::uint8_t* pixels = set.pictures.data<std::uint8_t>() + i * data::kPictureBytes;
      if (set.labels.data<std::int32_t>()[i] != record[0]) found("a label is wrong");
      for (std::size_t at = 0; at < kPlane; ++at)
        for (std::size_t c = 0; c < 3; ++c)
          if (pixels[at * 3 + c] != record[1 + c * kPlane + at]) found("a pixel is wrong");
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace octet::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size)
    __attribute__((weak));
/// Mostly whole records with small labels: what gets past the first checks.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using octet::fuzz::kRecord;
  octet::fuzz::Dice dice(seed);
  size = LLVMFuzzerMutate(data, size, max_size);
  if (dice.roll(4) == 0 || max_size < kRecord) return size;
  const std::size_t whole = std::clamp<std::size_t>((size + kRecord / 2) / kRecord, 1, max_size / kRecord) * kRecord;
  if (whole > size) std::memset(data + size, static_cast<int>(dice.roll(256)), whole - size);
  for (std::size_t at = 0; at < whole && dice.roll(8) != 0; at += kRecord)
    data[at] = static_cast<std::uint8_t>(data[at] % 10);
  return whole;
}
