#include "data/png.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace octet::data {

std::string encode_png(const Tensor& picture) {
  OCTET_CHECK(
      picture.dtype() == DType::u8 && picture.shape().rank() == 3 && picture.shape()[2] == 3 && picture.numel() > 0,
      "png", "a picture is H,W,3, not {} {}", name_of(picture.dtype()), picture.shape().str());
  const auto height = static_cast<int>(picture.shape()[0]), width = static_cast<int>(picture.shape()[1]);
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  const int done = stbi_write_png_to_func(append, &bytes, width, height, 3, picture.data<std::uint8_t>(), 3 * width);
  OCTET_CHECK(done == 1, "png", "out of memory while writing {}", picture.shape().str());
  return bytes;
}

}  // namespace octet::data
