// The safetensors format: named tensors in one file that holds no code. Layout, limits and the checksum are in
// docs/format.md.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/tensor.h"

namespace octet {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using Metadata = std::map<std::string, std::string>;

/// Metadata key under which write_safetensors keeps "crc32c:" and eight hex digits: CRC-32C of the whole file in which
/// these eight digits are taken as '0'.
inline constexpr const char* kChecksumKey = "octet.checksum";

struct TensorFile {
  NamedTensors tensors;  ///< in the order of the header
  Metadata metadata;     ///< without the checksum
  std::string name;      ///< path, for messages

  /// Null when there is none of this name.
  const Tensor* find(const std::string& tensor_name) const;
  /// Throws Error naming the file when there is none of this name.
  const Tensor& get(const std::string& tensor_name) const;
  /// Throws Error naming the file when the key is missing.
  const std::string& meta(const std::string& key) const;
};

struct ReadOptions {
  bool copy = true;               ///< false: tensors share a private mapping of the file where alignment allows
  bool require_checksum = false;  ///< refuse a file without kChecksumKey
};

/// Reads and checks a file: lengths, JSON, names used twice, dtypes (F32, F64, BF16, I8, U8, I32), shapes, offsets
/// without holes, overlaps or trailing bytes, and the checksum where there is one. Throws Error, one line that names
/// the file, before any memory is taken that the file does not back.
TensorFile read_safetensors(const std::string& path, const ReadOptions& options = {});

/// The same from memory; `owner` keeps `bytes` alive when options.copy is false. `name` is used in messages.
TensorFile parse_safetensors(char* bytes, std::size_t size, const std::shared_ptr<void>& owner, const std::string& name,
                             const ReadOptions& options = {});

/// Writes atomically (core/file.h), tensors in the given order, metadata sorted by key, data aligned to 8 bytes: equal
/// input gives equal bytes. Throws Error on a name used twice, an undefined tensor, text that is not UTF-8, or a
/// failing disk.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

}  // namespace octet
