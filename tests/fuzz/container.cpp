#include "tests/fuzz/container.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/file.h"

namespace octet::fuzz {
namespace {

constexpr std::size_t kLength = 8, kDigits = 8;

const char* name_in_file(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::s8:
      return "I8";
    case DType::u8:
      return "U8";
    default:
      return "I32";
  }
}

void put_length(std::string& bytes, std::uint64_t header) { std::memcpy(bytes.data(), &header, kLength); }

void put_checksum(std::string& bytes) {
  const std::string mark = std::string("\"") + kChecksumKey + "\":\"crc32c:";
  const std::size_t at = bytes.find(mark);
  if (at == std::string::npos || at + mark.size() + kDigits > bytes.size()) return;
  const std::size_t digits = at + mark.size();
  bytes.replace(digits, kDigits, kDigits, '0');
  bytes.replace(digits, kDigits, fmt::format("{:08x}", crc32c(bytes.data(), bytes.size())));
}

}  // namespace

void repair_container(std::string& bytes) {
  if (bytes.size() < kLength + 2) return;
  const std::size_t text_end = std::min(bytes.find('\0', kLength), bytes.size());
  const std::size_t brace = bytes.rfind('}', text_end - 1);
  if (brace != std::string::npos && brace > kLength) {
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), kLength);
    // A length that already ends in the padding behind the brace is right.
    if (header > bytes.size() - kLength || header + kLength <= brace) put_length(bytes, brace + 1 - kLength);
  }
  put_checksum(bytes);
}

std::string make_container(const NamedTensors& tensors, const Metadata& metadata) {
  using Json = nlohmann::ordered_json;
  Json header;
  header["__metadata__"] = Json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  header["__metadata__"][kChecksumKey] = "crc32c:00000000";
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data.append(static_cast<const char*>(tensor.raw()), tensor.nbytes());
    const auto extents = tensor.shape().extents();
    header[name] = {{"dtype", name_in_file(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string bytes(kLength, '\0');
  put_length(bytes, text.size());
  bytes += text + data;
  put_checksum(bytes);
  return bytes;
}

std::uint32_t Dice::roll(std::uint32_t sides) {
  state_ = state_ * 6364136223846793005u + 1442695040888963407u;
  return sides == 0 ? 0 : static_cast<std::uint32_t>(state_ >> 33) % sides;
}

}  // namespace octet::fuzz
