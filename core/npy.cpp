#include "core/npy.h"

#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace octet {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);

struct Entry {
  DType dtype;
  const char* text;
};
constexpr Entry kTypes[] = {
    {DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::s8, "|i1"}, {DType::u8, "|u1"}, {DType::s32, "<i4"}};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  fail("npy", fmt::format("{}: {}", path, why), "write it with numpy.save as float32, float64, int8, uint8 or int32");
}

/// What follows `key` in the header's dictionary, up to the end of the header.
std::string_view value_of(std::string_view header, std::string_view key, const std::string& path) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) refuse(path, fmt::format("the header lacks {}", key));
  std::string_view value = header.substr(at + key.size());
  const std::size_t start = value.find_first_not_of(": ");
  return start == std::string_view::npos ? std::string_view() : value.substr(start);
}

Shape shape_of(std::string_view text, const std::string& path) {
  if (!text.starts_with('(')) refuse(path, "the shape is no tuple");
  std::vector<std::int64_t> extents;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (;;) {
    while (at != end && (*at == ' ' || *at == ',')) ++at;
    if (at == end) refuse(path, "the shape is torn");
    if (*at == ')') return Shape(extents);
    std::int64_t extent = 0;
    const auto parsed = std::from_chars(at, end, extent);
    if (parsed.ec != std::errc() || extent < 0 || extents.size() == static_cast<std::size_t>(Shape::kMaxRank))
      refuse(path, "the shape is not usable");
    extents.push_back(extent);
    at = parsed.ptr;
  }
}

DType dtype_of_text(std::string_view text, const std::string& path) {
  for (const Entry& entry : kTypes) {
    if (text.size() >= 5 && text.substr(1, 3) == entry.text) return entry.dtype;
  }
  refuse(path, "the dtype is not one we read");
}

}  // namespace

void write_npy(const std::string& path, const Tensor& tensor) {
  OCTET_CHECK(tensor.defined(), "npy", "{}: an undefined tensor cannot be written", path);
  const char* type = nullptr;
  for (const Entry& entry : kTypes) {
    if (entry.dtype == tensor.dtype()) type = entry.text;
  }
  if (type == nullptr) {
    fail("npy", fmt::format("{}: dtype {} has no name in NumPy", path, name_of(tensor.dtype())),
         "convert it to f32 first");
  }
  std::string shape;
  for (std::int64_t extent : tensor.shape().extents()) shape += std::to_string(extent) + ",";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  while ((kMagic.size() + 2 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  const std::uint16_t length = static_cast<std::uint16_t>(header.size());
  const char length_bytes[2] = {static_cast<char>(length & 0xFF), static_cast<char>(length >> 8)};
  write_file_atomically(path, [&](FileSink& sink) {
    sink.write(kMagic);
    sink.write(length_bytes, 2);
    sink.write(header);
    sink.write(tensor.raw(), tensor.nbytes());
  });
}

Tensor read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  if (bytes.size() < 10 || std::string_view(bytes).substr(0, 8) != kMagic)
    refuse(path, "not a .npy file of version 1.0");
  const std::size_t length =
      static_cast<unsigned char>(bytes[8]) | static_cast<std::size_t>(static_cast<unsigned char>(bytes[9])) << 8;
  if (length > bytes.size() - 10) refuse(path, "the header is torn");
  const std::string_view header(bytes.data() + 10, length);
  const DType dtype = dtype_of_text(value_of(header, "'descr'", path), path);
  if (!value_of(header, "'fortran_order'", path).starts_with("False")) refuse(path, "the array is in Fortran order");
  const Shape shape = shape_of(value_of(header, "'shape'", path), path);
  const std::size_t wanted = static_cast<std::size_t>(shape.numel()) * size_of(dtype);
  if (bytes.size() - 10 - length != wanted) {
    refuse(path, fmt::format("{} bytes of data, shape {} needs {}", bytes.size() - 10 - length, shape.str(), wanted));
  }
  Tensor tensor(shape, dtype);
  if (wanted > 0) std::memcpy(tensor.raw(), bytes.data() + 10 + length, wanted);
  return tensor;
}

}  // namespace octet
