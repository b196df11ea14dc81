// data/image_file: PNG and JPEG through stb_image.
#include "core/error.h"
#include "data/image_file.h"
#include "tests/fuzz/target.h"

namespace octet::fuzz {
namespace {

std::uint32_t number(std::string_view bytes, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

/// Whether a size that is claimed anywhere is legal and yet too slow for a million runs: a few bytes may claim 16
/// megapixels.
bool is_slow(std::string_view bytes) {
  constexpr std::uint64_t kFast = 1 << 16, kLegal = 1 << 24;
  const auto slow = [&](std::uint64_t pixels) { return pixels > kFast && pixels <= kLegal; };
  for (std::size_t at = 0; at + 12 <= bytes.size(); ++at) {
    const bool png = bytes.substr(at, 4) == "IHDR", jpeg = bytes[at] == '\xff' && (bytes[at + 1] & '\xfc') == '\xc0';
    if (png && slow(std::uint64_t{number(bytes, at + 4, 4)} * number(bytes, at + 8, 4))) return true;
    if (jpeg && slow(std::uint64_t{number(bytes, at + 5, 2)} * number(bytes, at + 7, 2))) return true;
  }
  return false;
}

}  // namespace

bool accepts(std::string_view bytes) {
  if (is_slow(bytes)) return false;
  try {
    const Tensor picture = data::decode_picture(bytes.data(), bytes.size(), "input");
    data::resize_picture(picture, 32, 32);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace octet::fuzz
