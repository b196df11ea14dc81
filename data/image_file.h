// Picture files: PNG and JPEG through stb_image, with limits.
#pragma once
#include <filesystem>
#include <string>

#include "core/tensor.h"

namespace octet::data {

/// Decodes a PNG or JPEG file to u8 H,W,3. Grey becomes colour, an alpha channel is dropped. Throws Error on anything else, on files
/// above 64 MiB, on sides above 8192 and on more than 2^24 pixels.
Tensor read_picture(const std::string& path);
/// The same from memory; `name` is for messages.
Tensor decode_picture(const void* bytes, std::size_t count, const std::string& name);
/// u8 H,W,3 resized to u8 height,width,3 (Mitchell filter down, Catmull-Rom up: stb_image_resize's defaults).
Tensor resize_picture(const Tensor& picture, std::int64_t height, std::int64_t width);

/// Does it end as .png, .jpg or .jpeg do, in either case?
bool has_picture_name(const std::filesystem::path& path);

}  // namespace octet::data
