#include "data/image_file.h"

#include <cstdlib>

#include "core/file.h"
#include "data/jpeg_tables.h"

namespace {

// stb_image allocates what a chunk claims to hold and inflates for as long as the data goes on. No picture that
// decode_picture() takes needs more at once: 2^24 pixels of four 16-bit channels, and twice that while a buffer grows.
constexpr std::size_t kMostAllocation = std::size_t{256} << 20;
// Zeroed: a damaged file must not give a picture that depends on what memory held.
void* limited_malloc(std::size_t bytes) { return bytes <= kMostAllocation ? std::calloc(1, bytes) : nullptr; }
void* limited_realloc(void* p, std::size_t bytes) {
  return bytes <= kMostAllocation ? std::realloc(p, bytes) : nullptr;
}

}  // namespace

#define STBI_MALLOC(bytes) limited_malloc(bytes)
#define STBI_REALLOC(p, bytes) limited_realloc(p, bytes)
#define STBI_FREE(p) std::free(p)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 8192
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#include <stb_image_resize.h>
#pragma GCC diagnostic pop

namespace octet::data {
namespace {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 24;

/// A file of a hundred bytes may claim a picture that takes a gigabyte to decode; its size is known before.
void check_size(std::span<const std::uint8_t> file, const std::string& name) {
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(file.data(), static_cast<int>(file.size()), &width, &height, &channels) == 0)
    return;  // decoding will tell why
  OCTET_CHECK(std::int64_t{width} * height <= kMostPixels, "picture",
              "'{}' is {}x{}; pictures have at most {} pixels ---> HINT make it smaller", name, width, height,
              kMostPixels);
}

}  // namespace

Tensor decode_picture(const void* bytes, std::size_t count, const std::string& name) {
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  OCTET_CHECK(count > 0 && count <= kMostBytes, "picture", "'{}' has {} bytes; pictures have 1 to {}", name, count,
              kMostBytes);
  std::span<const std::uint8_t> file(static_cast<const std::uint8_t*>(bytes), count);
  OCTET_CHECK(huffman_tables_fit(file), "picture",
              "'{}' is no PNG or JPEG that can be read (a Huffman table of more than 255 symbols)", name);
  const std::vector<std::uint8_t> jpeg = with_empty_tables(file);
  if (!jpeg.empty()) file = jpeg;
  check_size(file, name);
  int width = 0, height = 0, channels = 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(file.data(), static_cast<int>(file.size()), &width, &height, &channels, 3),
      stbi_image_free);
  OCTET_CHECK(pixels != nullptr, "picture", "'{}' is no PNG or JPEG that can be read ({}) ---> HINT convert it to PNG",
              name, stbi_failure_reason());
  return Tensor::from(Shape{height, width, 3},
                      std::span<const std::uint8_t>(
                          pixels.get(), static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3));
}

Tensor read_picture(const std::string& path) {
  const std::string bytes = read_file(path, std::size_t{64} << 20);
  return decode_picture(bytes.data(), bytes.size(), path);
}

Tensor resize_picture(const Tensor& picture, std::int64_t height, std::int64_t width) {
  OCTET_CHECK(
      picture.dtype() == DType::u8 && picture.shape().rank() == 3 && picture.shape()[2] == 3 && picture.numel() > 0,
      "resize_picture", "a picture is H,W,3, not {} {}", name_of(picture.dtype()), picture.shape().str());
  OCTET_CHECK(height >= 1 && height <= 8192 && width >= 1 && width <= 8192, "resize_picture",
              "{}x{} is not in [1, 8192]", height, width);
  if (picture.shape()[0] == height && picture.shape()[1] == width) return picture.clone();  // the filter would blur it
  Tensor resized({height, width, 3}, DType::u8);
  const int done = stbir_resize_uint8(picture.data<std::uint8_t>(), static_cast<int>(picture.shape()[1]),
                                      static_cast<int>(picture.shape()[0]), 0, resized.data<std::uint8_t>(),
                                      static_cast<int>(width), static_cast<int>(height), 0, 3);
  OCTET_CHECK(done == 1, "resize_picture", "out of memory while resizing {}", picture.shape().str());
  return resized;
}

bool has_picture_name(const std::filesystem::path& path) {
  std::string ending = path.extension().native();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

}  // namespace octet::data
