// Normalisation and augmentation.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/transform.h"
#include "kernels/augment/augment.h"
#include "tests/kernels/hostile.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using data::kPictureBytes;

TEST(Normalise, EveryByte) {
  Tensor bytes({1, 1, 256, 1}, DType::u8);
  for (int i = 0; i < 256; ++i) bytes.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  const Tensor values = data::normalise(bytes);
  EXPECT_EQ(values.shape(), bytes.shape());
  for (int i = 0; i < 256; ++i) EXPECT_EQ(static_cast<float>(values.at(i)), (static_cast<float>(i) - 127.5f) / 127.5f);
  EXPECT_EQ(values.at(0), -1);
  EXPECT_EQ(values.at(255), 1);
  EXPECT_EQ(data::normalise(Tensor({0, 32, 32, 3}, DType::u8)).numel(), 0);
  EXPECT_ERROR(data::normalise(Tensor::zeros({1, 2})), "tensor");
}

TEST(Normalise, ManyPicturesEqualOneByOne) {
  Tensor bytes({70, 32, 32, 3}, DType::u8);  // several blocks, the last one partial
  for (std::int64_t i = 0; i < bytes.numel(); ++i)
    bytes.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 37 % 251);
  const Tensor all = data::normalise(bytes);
  std::vector<float> one(kPictureBytes);
  for (std::int64_t p = 0; p < 70; ++p) {
    data::normalise(bytes.data<std::uint8_t>() + p * kPictureBytes, kPictureBytes, one.data());
    ASSERT_TRUE(std::equal(one.begin(), one.end(), all.data<float>() + p * kPictureBytes)) << p;
  }
}

// A picture whose bytes tell where they came from, without any that normalises to 0 (none does: 127.5 is no byte).
std::vector<std::uint8_t> numbered_picture() {
  std::vector<std::uint8_t> pixels(kPictureBytes);
  for (std::int64_t row = 0; row < 32; ++row)
    for (std::int64_t col = 0; col < 32; ++col) {
      pixels[static_cast<std::size_t>((row * 32 + col) * 3)] = static_cast<std::uint8_t>(row);
      pixels[static_cast<std::size_t>((row * 32 + col) * 3 + 1)] = static_cast<std::uint8_t>(100 + col);
      pixels[static_cast<std::size_t>((row * 32 + col) * 3 + 2)] = 200;
    }
  return pixels;
}

struct Move {
  int down = 99, right = 99;
  bool mirrored = false;
  auto operator<=>(const Move&) const = default;
};

// The one move that makes `values` from the numbered picture; down stays 99 when there is none.
Move move_of(const std::vector<float>& values) {
  const auto byte = [](float v) { return static_cast<int>(std::lround(v * 127.5f + 127.5f)); };
  for (int down = -4; down <= 4; ++down)
    for (int right = -4; right <= 4; ++right)
      for (const bool mirrored : {false, true}) {
        bool fits = true;
        for (int row = 0; row < 32 && fits; ++row)
          for (int col = 0; col < 32 && fits; ++col) {
            const float* pixel = &values[static_cast<std::size_t>((row * 32 + col) * 3)];
            const int from_row = row + down, from_col = (mirrored ? 31 - col : col) + right;
            if (from_row < 0 || from_row > 31 || from_col < 0 || from_col > 31)
              fits = pixel[0] == 0 && pixel[1] == 0 && pixel[2] == 0;
            else
              fits = byte(pixel[0]) == from_row && byte(pixel[1]) == 100 + from_col && byte(pixel[2]) == 200;
          }
        if (fits) return {down, right, mirrored};
      }
  return {};
}

// Picture `index` as training shows it.
std::vector<float> shown(const data::LoaderOptions& options, std::uint64_t epoch, std::int64_t index) {
  std::vector<float> values(kPictureBytes, 9);
  data::show(numbered_picture().data(), data::view_of(index, options, epoch), values.data());
  return values;
}

TEST(CropFlip, IsAShiftOverZerosAndPerhapsAMirror) {
  std::set<Move> seen;
  int mirrored = 0;
  for (std::int64_t p = 0; p < 1000; ++p) {
    const Move move = move_of(shown({.augment = data::Augment::crop_flip, .seed = 5}, 2, p));
    ASSERT_NE(move.down, 99) << p;
    seen.insert(move);
    mirrored += move.mirrored;
  }
  EXPECT_NEAR(mirrored, 500, 80);
  EXPECT_GE(seen.size(), 155u);  // of 9·9·2 = 162
}

TEST(CropFlip, AFunctionOfSeedEpochAndPicture) {
  const auto made = [](std::uint64_t seed, std::uint64_t epoch, std::int64_t index) {
    return shown({.augment = data::Augment::crop_flip, .seed = seed}, epoch, index);
  };
  EXPECT_EQ(made(1, 2, 3), made(1, 2, 3));
  int differ[3] = {0, 0, 0};
  for (std::int64_t i = 0; i < 20; ++i) {
    differ[0] += made(1, 2, i) != made(2, 2, i);
    differ[1] += made(1, 2, i) != made(1, 3, i);
    differ[2] += made(1, 2, i) != made(1, 2, i + 1);
  }
  for (int d : differ) EXPECT_GE(d, 16);
}

// All that differs from the picture without it is zero and is a square, or as much of one as lies on the picture.
TEST(Cutout, IsASquareOfZerosAroundAnyPixel) {
  std::set<std::pair<int, int>> middles;
  for (const int side : {1, 8, 13})
    for (const data::Augment augment : {data::Augment::none, data::Augment::crop_flip})
      for (std::int64_t p = 0; p < 300; ++p) {
        const data::LoaderOptions options{.augment = augment, .seed = 5, .cutout = side};
        const kernels::View view = data::view_of(p, options, 2);
        const int top = view.hole_row, left = view.hole_column;
        ASSERT_TRUE(top >= -side / 2 && top < 32 - side / 2 && left >= -side / 2 && left < 32 - side / 2)
            << top << " " << left;
        middles.insert({top + side / 2, left + side / 2});
        std::vector<float> wanted = shown({.augment = augment, .seed = 5}, 2, p);
        for (int row = std::max(top, 0); row < std::min(top + side, 32); ++row)
          for (int column = std::max(left, 0); column < std::min(left + side, 32); ++column)
            std::fill_n(&wanted[static_cast<std::size_t>((row * 32 + column) * 3)], 3, 0.0f);
        ASSERT_EQ(shown(options, 2, p), wanted) << p;
      }
  EXPECT_GE(middles.size(), 400u);  // 600 draws of 1024 pixels: 454 are expected
}

TEST(Show, TheHostsWayHasTheReferencesBits) {
  const auto picture = numbered_picture();
  const std::int32_t label = 0, order = 0;
  for (const kernels::View view : {kernels::View{}, kernels::View{-40, 0, 0}, kernels::View{3, 33, 1},
                                   kernels::View{2, -3, 1, -5, 30, 9}, kernels::View{0, 1, 0, 31, -31, 32},
                                   kernels::View{-4, 4, 1, 0, 0, 255}, kernels::View{0, 0, 0, -128, 127, 64}}) {
    std::vector<float> values(kPictureBytes, 9), wanted(kPictureBytes, 8);
    data::show(picture.data(), view, values.data());
    std::int32_t batch_label = 0;
    kernels::hostile::reference_row(kernels::augment_rows(), "augment_fwd", "u8f32")
        .run({}, {picture.data(), &label, &order, &view, nullptr, wanted.data(), &batch_label}, {});
    EXPECT_EQ(values, wanted);
  }
}

}  // namespace
}  // namespace octet::test
