// From the words of the command line to a data set.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "data/dataset.h"
#include "data/picture_folder.h"

namespace octet::data {
namespace {

constexpr std::uint64_t kSyntheticSeed = 2026;
constexpr std::int64_t kSyntheticTrain = 20000, kSyntheticTest = 4000;

std::int64_t limited(std::int64_t count, std::int64_t limit) { return limit > 0 ? std::min(count, limit) : count; }

// Each picture is drawn from its own random numbers: the first ones are the same, however many follow.
Split synthetic(const Limits& limits) {
  return synthetic_shapes(kSyntheticSeed, limited(kSyntheticTrain, limits.train), limited(kSyntheticTest, limits.test));
}

Split load_folder(const std::string& dir, const Limits& limits, const LoadProgress& progress) {
  std::error_code ignored;
  const bool pictures = !looks_like_cifar10(dir) && std::filesystem::is_directory(dir, ignored) && holds_folders(dir);
  return pictures ? load_picture_folder(dir, limits, progress) : load_cifar10(dir, limits);
}

}  // namespace

Split load(const std::string& where, const Limits& limits, const LoadProgress& progress) {
  OCTET_CHECK(limits.train >= 0 && limits.test >= 0, "data", "limits of {} and {} pictures must not be negative",
              limits.train, limits.test);
  if (where == "synthetic") return synthetic(limits);
  if (where != "auto") return load_folder(where, limits, progress);
  if (const char* dir = std::getenv("OCTET_DATA"); dir != nullptr && *dir != '\0')
    return load_folder(dir, limits, progress);
  constexpr const char* kHere = "data/cifar-10-batches-bin";
  std::error_code ignored;
  return std::filesystem::is_directory(kHere, ignored) ? load_cifar10(kHere, limits) : synthetic(limits);
}

}  // namespace octet::data
