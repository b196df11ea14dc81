// Picture files: what is read, what is refused, and resizing.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/random.h"
#include "data/image_file.h"
#include "data/png.h"
#include "tests/data/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace octet::test {
namespace {

void append(void* to, void* bytes, int count) {
  static_cast<std::string*>(to)->append(static_cast<char*>(bytes), static_cast<std::size_t>(count));
}

// A smooth picture of `channels` channels, so that JPEG keeps it well.
std::vector<std::uint8_t> smooth(int width, int height, int channels) {
  std::vector<std::uint8_t> pixels;
  for (int row = 0; row < height; ++row)
    for (int col = 0; col < width; ++col)
      for (int c = 0; c < channels; ++c)
        pixels.push_back(static_cast<std::uint8_t>(c == 3 ? 10 : 20 + 2 * row + 3 * col + 40 * c));
  return pixels;
}

std::string png(int width, int height, int channels) {
  std::string bytes;
  stbi_write_png_to_func(append, &bytes, width, height, channels, smooth(width, height, channels).data(), 0);
  return bytes;
}

std::string jpeg(int width, int height, int channels) {
  std::string bytes;
  stbi_write_jpg_to_func(append, &bytes, width, height, channels, smooth(width, height, channels).data(), 95);
  return bytes;
}

Tensor decode(const std::string& bytes) { return data::decode_picture(bytes.data(), bytes.size(), "a picture"); }

TEST(Picture, PngOfEveryChannelCount) {
  for (const int channels : {1, 2, 3, 4}) {
    const Tensor picture = decode(png(17, 11, channels));
    ASSERT_EQ(picture.shape(), (Shape{11, 17, 3}));
    ASSERT_EQ(picture.dtype(), DType::u8);
    const auto pixels = smooth(17, 11, channels);
    for (std::int64_t i = 0; i < picture.numel(); ++i) {
      const auto source = i / 3 * channels + (channels >= 3 ? i % 3 : 0);  // grey thrice; alpha goes
      ASSERT_EQ(picture.at(i), pixels[static_cast<std::size_t>(source)]) << channels << " " << i;
    }
  }
}

TEST(Picture, JpegNearly) {
  for (const int channels : {1, 3}) {
    const Tensor picture = decode(jpeg(24, 16, channels));
    ASSERT_EQ(picture.shape(), (Shape{16, 24, 3}));
    const auto pixels = smooth(24, 16, channels);
    for (std::int64_t i = 0; i < picture.numel(); ++i)
      ASSERT_NEAR(picture.at(i), pixels[static_cast<std::size_t>(i / 3 * channels + (channels == 3 ? i % 3 : 0))], 12)
          << channels << " " << i;
  }
}

TEST(Picture, WhatIsNoneIsRefused) {
  EXPECT_ERROR(decode(""), "'a picture' has 0 bytes");
  EXPECT_ERROR(decode("hello, I am a text"), "'a picture' is no PNG or JPEG");
  EXPECT_ERROR(decode(std::string(1000, '\0')), "HINT");
  EXPECT_ERROR(decode("GIF89a" + std::string(100, '\x01')), "no PNG or JPEG");
  EXPECT_ERROR(decode("BM" + std::string(100, '\x01')), "no PNG or JPEG");
}

TEST(Picture, TruncatedAnywhereIsRefused) {
  for (const std::string& whole : {png(17, 11, 3), jpeg(24, 16, 3)})
    for (std::size_t size = 0; size + 12 < whole.size(); size += whole.size() / 40 + 1) {
      SCOPED_TRACE(size);
      EXPECT_ERROR(decode(whole.substr(0, size)), "a picture");
    }
}

TEST(Picture, DamagedBytesNeverCrash) {
  Random random(1, Purpose::test);
  for (const std::string& whole : {png(17, 11, 3), jpeg(24, 16, 3)})
    for (int i = 0; i < 300; ++i) {
      std::string bytes = whole;
      for (int k = 0; k < 4; ++k) bytes[random.below(bytes.size())] = static_cast<char>(random.bits());
      try {
        const Tensor picture = decode(bytes);
        EXPECT_EQ(picture.shape()[2], 3);
      } catch (const Error&) {
      }
    }
}

TEST(Picture, HuffmanTablesThatAreTooLong) {
  const std::string whole = jpeg(24, 16, 3);
  EXPECT_EQ(decode(whole).shape()[1], 24);
  const std::size_t table = whole.find("\xFF\xC4");
  ASSERT_NE(table, std::string::npos);
  std::string early = whole;
  early.replace(table + 5, 2, "\xFF\x02");  // 257 symbols of one and two bits
  EXPECT_ERROR(decode(early), "more than 255 symbols");
  const std::string late = whole.substr(0, whole.size() - 2) + early.substr(table);  // behind the scan
  EXPECT_ERROR(decode(late), "more than 255 symbols");
}

TEST(Picture, HeadersThatPromiseTooMuch) {
  const auto with_size = [](std::uint32_t width, std::uint32_t height) {
    std::string bytes = png(4, 4, 3);
    for (int i = 0; i < 4; ++i) {
      bytes[static_cast<std::size_t>(16 + i)] = static_cast<char>(width >> (24 - 8 * i));
      bytes[static_cast<std::size_t>(20 + i)] = static_cast<char>(height >> (24 - 8 * i));
    }
    return bytes;
  };
  for (const auto& [width, height] : {std::pair<std::uint32_t, std::uint32_t>{100000, 100000},
                                      {8193, 1},
                                      {1, 8193},
                                      {0, 4},
                                      {4, 0},
                                      {0xFFFFFFFF, 0xFFFFFFFF},
                                      {4096, 4096}})
    EXPECT_ERROR(decode(with_size(width, height)), "no PNG or JPEG");
  for (const auto& [width, height] : {std::pair<std::uint32_t, std::uint32_t>{8192, 8192}, {4097, 4096}, {8192, 2049}})
    EXPECT_ERROR(decode(with_size(width, height)), "pictures have at most 16777216 pixels");
  std::string wide = jpeg(24, 16, 3);
  const std::size_t frame = wide.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  for (std::size_t i = 5; i < 9; ++i) wide[frame + i] = '\xFF';
  EXPECT_ERROR(decode(wide), "no PNG or JPEG");
}

TEST(Picture, ChunksThatPromiseTooMuch) {
  std::string bytes = png(4, 4, 3);
  const std::size_t chunk = bytes.find("IDAT");
  ASSERT_NE(chunk, std::string::npos);
  for (const char first : {'\x20', '\x65', '\x7F', '\xFF'}) {  // half a gigabyte and more, in a file of a hundred bytes
    bytes[chunk - 4] = first;
    EXPECT_ERROR(decode(bytes), "no PNG or JPEG");
  }
}

TEST(Picture, Files) {
  const TempFolder folder;
  put(folder / "good.png", png(5, 6, 3));
  EXPECT_EQ(data::read_picture(folder / "good.png").shape(), (Shape{6, 5, 3}));
  EXPECT_ERROR(data::read_picture(folder / "none.png"), "none.png");
  EXPECT_ERROR(data::read_picture(folder.path().string()), "folder");
  put(folder / "empty.png", "");
  EXPECT_ERROR(data::read_picture(folder / "empty.png"), "empty.png' has 0 bytes");
  std::filesystem::resize_file(folder / "empty.png", (std::uintmax_t{64} << 20) + 1);
  EXPECT_ERROR(data::read_picture(folder / "empty.png"), "empty.png");
}

TEST(Resize, SizesAndValues) {
  const Tensor picture = decode(png(24, 16, 3));
  EXPECT_TRUE(same_bits(data::resize_picture(picture, 16, 24), picture));
  const Tensor twice = data::resize_picture(picture, 32, 48);
  for (std::int64_t row = 4; row < 28; ++row)
    for (std::int64_t col = 4; col < 44; ++col)
      for (std::int64_t c = 0; c < 3; ++c)  // the picture is linear, and so is what lies between its pixels
        EXPECT_NEAR(
            twice.at((row * 48 + col) * 3 + c),
            20 + static_cast<double>(row) - 0.5 + 1.5 * static_cast<double>(col) - 0.75 + 40.0 * static_cast<double>(c),
            1.01);
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{32, 32}, {1, 1}, {5, 100}}) {
    Tensor flat({16, 24, 3}, DType::u8);
    flat.fill(77);
    const Tensor resized = data::resize_picture(flat, height, width);
    ASSERT_EQ(resized.shape(), (Shape{height, width, 3}));
    for (const std::uint8_t x : resized.span<std::uint8_t>()) ASSERT_EQ(x, 77);
  }
}

TEST(Resize, Refusals) {
  const Tensor picture = decode(png(4, 4, 3));
  EXPECT_ERROR(data::resize_picture(picture, 0, 4), "0x4");
  EXPECT_ERROR(data::resize_picture(picture, 4, 8193), "4x8193");
  EXPECT_ERROR(data::resize_picture(picture.reshape({16, 3}), 4, 4), "a picture is H,W,3");
  EXPECT_ERROR(data::resize_picture(Tensor::zeros({4, 4, 3}), 4, 4), "a picture is H,W,3, not f32");
  EXPECT_ERROR(data::resize_picture(Tensor::zeros({4, 4, 3}), 5, 5), "a picture is H,W,3, not f32");
  EXPECT_ERROR(data::resize_picture(Tensor({0, 4, 3}, DType::u8), 4, 4), "0x4x3");
}

TEST(Png, WhatIsEncodedIsReadBack) {
  Random random(7, Purpose::test);
  Tensor picture({5, 7, 3}, DType::u8);
  for (std::uint8_t& x : picture.span<std::uint8_t>()) x = static_cast<std::uint8_t>(random.below(256));
  const std::string bytes = data::encode_png(picture);
  const Tensor back = data::decode_picture(bytes.data(), bytes.size(), "memory");
  ASSERT_EQ(back.shape(), picture.shape());
  EXPECT_EQ(std::memcmp(back.raw(), picture.raw(), picture.nbytes()), 0);
  for (const Tensor& other :
       {Tensor::zeros({4, 4, 3}), Tensor::zeros({4, 4, 1}, DType::u8), Tensor::zeros({0, 4, 3}, DType::u8)})
    EXPECT_ERROR(data::encode_png(other), "");
}

}  // namespace
}  // namespace octet::test
