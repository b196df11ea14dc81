// Files that the tests of data/ make: CIFAR-10 records and whole folders.
#pragma once
#include <fstream>
#include <string>

#include "data/dataset.h"

namespace octet::test {

/// `count` records of the binary layout: record i has label i % 10, its byte j of plane c is (i + 7·c + j) % 251.
inline std::string cifar_records(std::int64_t count) {
  std::string bytes;
  for (std::int64_t i = 0; i < count; ++i) {
    bytes += static_cast<char>(i % 10);
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t j = 0; j < 1024; ++j) bytes += static_cast<char>((i + 7 * c + j) % 251);
  }
  return bytes;
}

inline void put(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
}

}  // namespace octet::test
