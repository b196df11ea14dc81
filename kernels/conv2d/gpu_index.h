// Index arithmetic of the device's convolutions, for both sides: 32-bit numbers, divisions by multiplication.
#pragma once
#include <cstdint>

#include "core/host_device.h"
#include "kernels/problem.h"

namespace octet::kernels {

/// Division of numbers in [0, 2³¹) by one divisor in [1, 2³¹): n/d = (hi(n · magic) + n) >> shift.
class Divisor {
 public:
  explicit Divisor(std::int64_t d) : divisor_(static_cast<std::uint32_t>(d)) {
    while ((std::uint64_t{1} << shift_) < divisor_) ++shift_;
    magic_ = static_cast<std::uint32_t>(
        ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift_) - divisor_)) / divisor_ + 1);
  }
  OCTET_HD int value() const { return static_cast<int>(divisor_); }
  OCTET_HD int quotient(int n) const {
    const auto u = static_cast<std::uint32_t>(n);
    return static_cast<int>((static_cast<std::uint32_t>(std::uint64_t{u} * magic_ >> 32) + u) >> shift_);
  }

 private:
  std::uint32_t divisor_, magic_ = 0, shift_ = 0;
};

/// A pixel of a stack of pictures.
struct Pixel {
  int n, y, x;
};
/// A tap of a window and a channel under it.
struct Tap {
  int r, s, channel;
};

/// Pictures of height·width pixels, counted over all.
struct Pictures {
  Divisor area, width;
  Pictures(std::int64_t h, std::int64_t w) : area(h * w), width(w) {}
  OCTET_HD Pixel pixel(int index) const {
    const int n = area.quotient(index), in_picture = index - n * area.value();
    const int y = width.quotient(in_picture);
    return {n, y, in_picture - y * width.value()};
  }
};

/// Windows of r·s taps over so many channels, counted in the order (r, s, channel).
struct Window {
  Divisor channels, width;
  Window(std::int64_t s, std::int64_t channels_) : channels(channels_), width(s) {}
  OCTET_HD Tap tap(int index) const {
    const int tap = channels.quotient(index), r = width.quotient(tap);
    return {r, tap - r * width.value(), index - tap * channels.value()};
  }
};

/// Along one axis, the places of a source that the taps first_tap, first_tap + stride, … of a window read, and no
/// others do: first, first + stride, …, `places` of them below `extent`. Place i by the t-th of the taps is read by
/// output `first_reader` + i - t, where there is one.
struct ReaderClass {
  std::int64_t first = 0, places = 0, first_reader = 0, taps = 0;
};
inline ReaderClass reader_class(std::int64_t extent, std::int64_t window, std::int64_t stride, std::int64_t pad,
                                std::int64_t first_tap) {
  ReaderClass of;
  of.first = ((first_tap - pad) % stride + stride) % stride;
  of.places = of.first < extent ? (extent - of.first + stride - 1) / stride : 0;
  of.first_reader = (of.first + pad - first_tap) / stride;
  of.taps = (window - first_tap + stride - 1) / stride;
  return of;
}

/// Where the rows of a result lie: one behind the other, or as the pixels of a class each way of pictures of h by w.
struct RowPlaces {
  bool dense = true;
  Pictures grid{1, 1};
  int first_y = 0, first_x = 0, stride_h = 1, stride_w = 1, h = 1, w = 1;

  RowPlaces() = default;
  RowPlaces(const ConvGeometry& g, const ReaderClass& y, const ReaderClass& x)
      : dense(g.stride_h == 1 && g.stride_w == 1),
        grid(y.places, x.places),
        first_y(static_cast<int>(y.first)),
        first_x(static_cast<int>(x.first)),
        stride_h(static_cast<int>(g.stride_h)),
        stride_w(static_cast<int>(g.stride_w)),
        h(static_cast<int>(g.h)),
        w(static_cast<int>(g.w)) {}
  OCTET_HD std::int64_t of(int row) const {
    if (dense) return row;
    const Pixel at = grid.pixel(row);
    return static_cast<std::int64_t>(at.n * h + first_y + at.y * stride_h) * w + first_x + at.x * stride_w;
  }
};

/// Is 0 <= at < extent?
OCTET_HD inline bool inside(int at, int extent) { return static_cast<unsigned>(at) < static_cast<unsigned>(extent); }

/// Null when every index that the device computes in 32 bits fits, else the reason.
const char* too_large_for_device(const ConvGeometry& g);

}  // namespace octet::kernels
