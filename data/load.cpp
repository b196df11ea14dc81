// From the words of the command line to a data set.
#include <cstdlib>
#include <filesystem>

#include "data/dataset.h"

namespace octet::data {

Split load(const std::string& where, std::uint64_t synthetic_seed) {
  if (where == "synthetic") return synthetic_shapes(synthetic_seed);
  if (where != "auto") return load_cifar10(where);
  if (const char* dir = std::getenv("OCTET_DATA"); dir != nullptr && *dir != '\0') return load_cifar10(dir);
  constexpr const char* kHere = "data/cifar-10-batches-bin";
  std::error_code ignored;
  return std::filesystem::is_directory(kHere, ignored) ? load_cifar10(kHere) : synthetic_shapes(synthetic_seed);
}

}  // namespace octet::data
