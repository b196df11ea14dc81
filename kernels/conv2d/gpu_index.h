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

/// The coordinate in an output of `extent` whose tap reads the source, or -1; `shifted` is the source's coordinate plus
/// padding minus tap.
OCTET_HD inline int reader_at(int shifted, const Divisor& stride, int extent) {
  if (shifted < 0) return -1;
  const int at = stride.quotient(shifted);
  return at < extent && at * stride.value() == shifted ? at : -1;
}

/// Is 0 <= at < extent?
OCTET_HD inline bool inside(int at, int extent) { return static_cast<unsigned>(at) < static_cast<unsigned>(extent); }

/// Null when every index that the device computes in 32 bits fits, else the reason.
const char* too_large_for_device(const ConvGeometry& g);

}  // namespace octet::kernels
