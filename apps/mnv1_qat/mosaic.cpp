#include "apps/mnv1_qat/mosaic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace octet::app {
namespace {

using Colour = std::array<std::uint8_t, 3>;

constexpr std::uint8_t kFrame = 128;

/// Through three stops: black, a saturated tone, a bright one.
Colour colour_of(double share) {
  constexpr double kWarm[3][3] = {{12, 8, 24}, {196, 62, 78}, {252, 232, 120}},
                   kCold[3][3] = {{12, 8, 24}, {44, 98, 190}, {150, 236, 240}};
  const auto& stops = share < 0 ? kCold : kWarm;
  const double at = std::min(std::fabs(share), 1.0) * 2;
  const auto below = static_cast<std::size_t>(std::min(at, 1.0)), above = std::min<std::size_t>(below + 1, 2);
  const double part = at - static_cast<double>(below);
  Colour colour{};
  for (std::size_t k = 0; k < 3; ++k)
    colour[k] = static_cast<std::uint8_t>(std::lround(stops[below][k] + (stops[above][k] - stops[below][k]) * part));
  return colour;
}

}  // namespace

std::vector<std::int64_t> strongest_channels(const Tensor& value, std::int64_t count) {
  const std::int64_t channels = value.shape()[-1], pixels = value.numel() / channels;
  std::vector<double> energy(static_cast<std::size_t>(channels));
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t c = 0; c < channels; ++c) {
      const double x = static_cast<double>(value.data<float>()[p * channels + c]);
      energy[static_cast<std::size_t>(c)] += x * x;
    }
  std::vector<std::int64_t> order(static_cast<std::size_t>(channels));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return energy[static_cast<std::size_t>(a)] > energy[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(std::min(count, channels)));
  return order;
}

Tensor mosaic(const Tensor& value, const std::vector<std::int64_t>& channels, std::int64_t across, double top) {
  const std::int64_t h = value.shape()[1], w = value.shape()[2], c = value.shape()[3];
  const auto count = static_cast<std::int64_t>(channels.size());
  const std::int64_t columns = std::min(across, count), rows = (count + columns - 1) / columns;
  Tensor picture({rows * (h + 1) + 1, columns * (w + 1) + 1, 3}, DType::u8);
  std::fill_n(picture.data<std::uint8_t>(), picture.numel(), kFrame);
  const std::int64_t width = picture.shape()[1];
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t y = 0; y < h; ++y)
      for (std::int64_t x = 0; x < w; ++x) {
        const double v =
            static_cast<double>(value.data<float>()[(y * w + x) * c + channels[static_cast<std::size_t>(i)]]);
        const Colour colour = colour_of(top > 0 ? v / top : 0);
        const std::int64_t to_y = i / columns * (h + 1) + 1 + y, to_x = i % columns * (w + 1) + 1 + x;
        std::copy(colour.begin(), colour.end(), picture.data<std::uint8_t>() + (to_y * width + to_x) * 3);
      }
  return picture;
}

}  // namespace octet::app
