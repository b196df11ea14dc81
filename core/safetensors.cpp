#include "core/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"

namespace octet {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's integers and floats are used as they lie");

constexpr std::size_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxTensors = 1'000'000;
constexpr const char* kMetadataKey = "__metadata__";
constexpr std::string_view kChecksumPrefix = "crc32c:";
constexpr std::size_t kChecksumDigits = 8;

struct Entry {
  DType dtype;
  const char* text;
};
constexpr Entry kTypes[] = {{DType::f32, "F32"}, {DType::f64, "F64"}, {DType::bf16, "BF16"},
                            {DType::s8, "I8"},   {DType::u8, "U8"},   {DType::s32, "I32"}};

const char* text_of(DType dtype) {
  for (const Entry& entry : kTypes) {
    if (entry.dtype == dtype) return entry.text;
  }
  fail("safetensors", fmt::format("dtype {} has no name in this format", name_of(dtype)));
}

[[noreturn]] void refuse(const std::string& file, const std::string& why) {
  fail("safetensors", fmt::format("{}: {}", file, why),
       "the file is damaged or no safetensors file: fetch or write it again");
}

constexpr std::size_t kFront = 9;  // the size of the header, and its first byte

/// From the first kFront bytes of a file of `size`, fewer where it has fewer.
std::uint64_t header_size(std::string_view front, std::size_t size, const std::string& name) {
  if (size < 8) refuse(name, fmt::format("{} bytes are too few", size));
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, front.data(), 8);
  if (bytes > kMaxHeader) refuse(name, fmt::format("its header would have {} bytes", bytes));
  if (bytes > size - 8) refuse(name, "its header is cut short");
  if (bytes == 0 || front[8] != '{') refuse(name, "its header does not start with '{'");
  return bytes;
}

/// One tensor of the header, as it was written there.
struct Item {
  std::string name;
  bool has_dtype = false, has_shape = false, has_offsets = false;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;
};

struct Header {
  std::vector<Item> items;
  Metadata metadata;
};

/// Follows the only structure that a header may have: an object of objects, holding strings and flat lists of integers.
/// A callback that returns false ends the parse; `why` then says what was wrong.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Header header;
  std::string why;

  bool null() override { return bad("a null value"); }
  bool boolean(bool) override { return bad("a boolean value"); }
  bool number_float(double, const std::string&) override { return bad("a number that is no integer"); }
  bool binary(binary_t&) override { return bad("a binary value"); }
  bool number_integer(std::int64_t) override { return bad("a negative number"); }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) return bad("a number out of place");
    Item& item = header.items.back();
    if (place_ == Place::shape) {
      if (value > (std::uint64_t{1} << 48)) return bad("a huge extent");
      if (item.shape.size() == static_cast<std::size_t>(Shape::kMaxRank)) return bad("a shape of more than 6 axes");
      item.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      if (item.offsets.size() == 2) return bad("more than two data_offsets");
      item.offsets.push_back(value);
    }
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) {
      header.metadata[key_] = value;
      return true;
    }
    if (place_ != Place::item || key_ != "dtype") return bad("a text out of place");
    for (const Entry& entry : kTypes) {
      if (value == entry.text) {
        header.items.back().dtype = entry.dtype;
        return true;
      }
    }
    return bad(fmt::format("dtype '{}', which is none of F32, F64, BF16, I8, U8, I32", value));
  }

  bool key(std::string& name) override {
    key_ = name;
    if (place_ == Place::top) {
      if (!names_.insert(name).second) return bad(fmt::format("the name '{}' twice", name));
    } else if (place_ == Place::metadata) {
      if (header.metadata.contains(name)) return bad(fmt::format("the metadata key '{}' twice", name));
    } else {
      return item_key(name);
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top && key_ == kMetadataKey) {
      place_ = Place::metadata;
    } else if (place_ == Place::top) {
      if (header.items.size() == kMaxTensors) return bad("more than a million tensors");
      header.items.emplace_back().name = key_;
      place_ = Place::item;
    } else {
      return bad("an object out of place");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::item) {
      const Item& item = header.items.back();
      if (!item.has_dtype || !item.has_shape || item.offsets.size() != 2) {
        return bad(fmt::format("tensor '{}' without dtype, shape or data_offsets", item.name));
      }
    }
    place_ = place_ == Place::top ? Place::end : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::item || key_ == "dtype") return bad("a list out of place");
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::item;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    why = fmt::format("no JSON from byte {} of its header on", position);
    return false;
  }

 private:
  enum class Place { start, top, metadata, item, shape, offsets, end };

  bool bad(const std::string& what) {
    why = "its header holds " + what;
    return false;
  }

  bool item_key(const std::string& name) {
    Item& item = header.items.back();
    bool* seen = name == "dtype"          ? &item.has_dtype
                 : name == "shape"        ? &item.has_shape
                 : name == "data_offsets" ? &item.has_offsets
                                          : nullptr;
    if (seen == nullptr) return bad(fmt::format("the unknown key '{}' in tensor '{}'", name, item.name));
    if (*seen) return bad(fmt::format("'{}' twice in tensor '{}'", name, item.name));
    *seen = true;
    return true;
  }

  Place place_ = Place::start;
  std::string key_;
  std::set<std::string> names_;
};

Header parse_header(std::string_view text, const std::string& file) {
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader)) refuse(file, reader.why);
  return std::move(reader.header);
}

/// Every byte of the data belongs to exactly one tensor, and to as many as its shape asks for.
std::vector<Shape> check_layout(const std::vector<Item>& items, std::size_t data_bytes, const std::string& file) {
  std::vector<Shape> shapes;
  std::vector<const Item*> by_offset;
  for (const Item& item : items) {
    const std::uint64_t begin = item.offsets[0], end = item.offsets[1];
    if (begin > end || end > data_bytes) {
      refuse(file, fmt::format("tensor '{}' lies outside the {} bytes of data (cut short?)", item.name, data_bytes));
    }
    try {
      shapes.emplace_back(std::span<const std::int64_t>(item.shape));
    } catch (const Error&) {
      refuse(file, fmt::format("tensor '{}' has an impossible shape", item.name));
    }
    const std::uint64_t wanted = static_cast<std::uint64_t>(shapes.back().numel()) * size_of(item.dtype);
    if (end - begin != wanted) {
      refuse(file, fmt::format("tensor '{}' of shape {} needs {} bytes and has {}", item.name, shapes.back().str(),
                               wanted, end - begin));
    }
    by_offset.push_back(&item);
  }
  std::ranges::sort(by_offset, {}, [](const Item* item) { return std::pair(item->offsets[0], item->offsets[1]); });
  std::uint64_t expected = 0;
  for (const Item* item : by_offset) {
    if (item->offsets[0] != expected) {
      refuse(file,
             fmt::format("a {} before tensor '{}'", item->offsets[0] < expected ? "overlap" : "hole", item->name));
    }
    expected = item->offsets[1];
  }
  if (expected != data_bytes) refuse(file, fmt::format("{} bytes after the last tensor", data_bytes - expected));
  return shapes;
}

std::string checksum_text(std::uint32_t crc) { return fmt::format("{}{:08x}", kChecksumPrefix, crc); }

/// Where the digits of the checksum are in a header, as write_safetensors writes it; npos when not there exactly once.
std::size_t checksum_position(std::string_view header) {
  const std::string mark = fmt::format("\"{}\":\"{}", kChecksumKey, kChecksumPrefix);
  const std::size_t at = header.find(mark);
  if (at == std::string_view::npos || header.find(mark, at + 1) != std::string_view::npos)
    return std::string_view::npos;
  const std::size_t digits = at + mark.size();
  return digits + kChecksumDigits <= header.size() ? digits : std::string_view::npos;
}

/// CRC-32C over length, header and data with the checksum's digits taken as '0'.
std::uint32_t checksum_of(std::string_view before_data, std::size_t digits, std::string_view data) {
  const std::string zeros(kChecksumDigits, '0');
  std::uint32_t crc = crc32c(before_data.data(), digits);
  crc = crc32c(zeros.data(), zeros.size(), crc);
  const std::string_view rest = before_data.substr(digits + kChecksumDigits);
  crc = crc32c(rest.data(), rest.size(), crc);
  return crc32c(data.data(), data.size(), crc);
}

void check_sum(Metadata& metadata, std::string_view bytes, std::size_t data_begin, const std::string& file,
               bool required) {
  const auto found = metadata.find(kChecksumKey);
  if (found == metadata.end()) {
    if (required) refuse(file, "it has no checksum");
    return;
  }
  const std::size_t digits = checksum_position(bytes.substr(0, data_begin));
  if (digits == std::string_view::npos) refuse(file, "its checksum is not where it is written");
  const std::string expected =
      checksum_text(checksum_of(bytes.substr(0, data_begin), digits, bytes.substr(data_begin)));
  if (found->second != expected)
    refuse(file, fmt::format("checksum {} is written, {} was found", found->second, expected));
  metadata.erase(found);
}

std::string quoted(const std::string& text, const std::string& file) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors", fmt::format("{}: a name or metadata text is not UTF-8", file));
  }
}

/// The header with zeros for a checksum, padded with spaces so that the data starts on a multiple of 8.
std::string make_header(const std::string& file, const NamedTensors& tensors, const Metadata& metadata) {
  Metadata all = metadata;
  all[kChecksumKey] = std::string(kChecksumPrefix) + std::string(kChecksumDigits, '0');
  std::string text;
  for (const auto& [key, value] : all)
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", quoted(key, file), quoted(value, file));
  text = fmt::format("{{\"{}\":{{{}}}", kMetadataKey, text);
  std::set<std::string> names;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    OCTET_CHECK(tensor.defined(), "safetensors", "{}: tensor '{}' is undefined", file, name);
    OCTET_CHECK(name != kMetadataKey && names.insert(name).second, "safetensors", "{}: the name '{}' is used twice",
                file, name);
    std::string shape;
    for (std::int64_t extent : tensor.shape().extents()) shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    const std::uint64_t end = offset + tensor.nbytes();
    text += fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", quoted(name, file),
                        text_of(tensor.dtype()), shape, offset, end);
    offset = end;
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  OCTET_CHECK(text.size() <= kMaxHeader, "safetensors", "{}: the header has {} bytes, at most {} are possible", file,
              text.size(), kMaxHeader);
  return text;
}

}  // namespace

const Tensor* TensorFile::find(const std::string& tensor_name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == tensor_name) return &tensor;
  }
  return nullptr;
}

const Tensor& TensorFile::get(const std::string& tensor_name) const {
  const Tensor* found = find(tensor_name);
  if (found == nullptr)
    fail("safetensors", fmt::format("{}: it has no tensor '{}'", name, tensor_name), "is it the right file?");
  return *found;
}

const std::string& TensorFile::meta(const std::string& key) const {
  const auto found = metadata.find(key);
  if (found == metadata.end())
    fail("safetensors", fmt::format("{}: it has no metadata '{}'", name, key), "is it the right file?");
  return found->second;
}

TensorFile parse_safetensors(char* bytes, std::size_t size, const std::shared_ptr<void>& owner, const std::string& name,
                             const ReadOptions& options) {
  const std::uint64_t header_bytes = header_size({bytes, std::min<std::size_t>(size, kFront)}, size, name);
  const std::string_view whole(bytes, size);
  const std::size_t data_begin = 8 + static_cast<std::size_t>(header_bytes);
  Header header = parse_header(whole.substr(8, header_bytes), name);
  const std::vector<Shape> shapes = check_layout(header.items, size - data_begin, name);
  check_sum(header.metadata, whole, data_begin, name, options.require_checksum);

  TensorFile file;
  file.name = name;
  file.metadata = std::move(header.metadata);
  for (std::size_t i = 0; i < header.items.size(); ++i) {
    const Item& item = header.items[i];
    char* data = bytes + data_begin + item.offsets[0];
    const bool aligned = reinterpret_cast<std::uintptr_t>(data) % size_of(item.dtype) == 0;
    Tensor tensor;
    if (!options.copy && aligned && owner) {
      tensor = Tensor::wrap(shapes[i], item.dtype, owner, data);
    } else {
      tensor = Tensor(shapes[i], item.dtype);
      std::memcpy(tensor.raw(), data, tensor.nbytes());
    }
    file.tensors.emplace_back(item.name, std::move(tensor));
  }
  return file;
}

TensorFile read_safetensors(const std::string& path, const ReadOptions& options) {
  if (options.copy) {
    const InputFile file(path);
    std::string front(std::min(file.size(), kFront), '\0');
    file.read(front.data(), front.size(), 0);
    header_size(front, file.size(), path);  // before memory is taken for all of it
    std::string bytes = read_file(path);
    return parse_safetensors(bytes.data(), bytes.size(), nullptr, path, options);
  }
  auto mapped = std::make_shared<MappedFile>(path);
  return parse_safetensors(mapped->data(), mapped->size(), mapped, path, options);
}

void write_safetensors(const std::string& path, const NamedTensors& given, const Metadata& metadata) {
  OCTET_CHECK(!metadata.contains(kChecksumKey), "safetensors", "{}: metadata '{}' is written by the library", path,
              kChecksumKey);
  NamedTensors tensors = given;
  for (auto& [name, tensor] : tensors) tensor = tensor.to(Device::cpu);
  const std::string header = make_header(path, tensors, metadata);
  const std::uint64_t header_bytes = header.size();
  std::string front(8, '\0');
  std::memcpy(front.data(), &header_bytes, 8);
  front += header;
  const std::size_t digits = checksum_position(front);
  OCTET_CHECK(digits != std::string::npos, "safetensors", "{}: the metadata imitates the checksum's text", path);
  std::uint32_t crc = checksum_of(front, digits, {});
  for (const auto& [name, tensor] : tensors) crc = crc32c(tensor.raw(), tensor.nbytes(), crc);
  front.replace(digits - kChecksumPrefix.size(), kChecksumPrefix.size() + kChecksumDigits, checksum_text(crc));
  write_file_atomically(path, [&](FileSink& sink) {
    sink.write(front);
    for (const auto& [name, tensor] : tensors) sink.write(tensor.raw(), tensor.nbytes());
  });
}

}  // namespace octet
