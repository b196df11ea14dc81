// Plain problem structs that several rooms share.
#pragma once
#include <cstdint>
#include <string>

namespace octet::kernels {

/// A 2-D convolution over N,H,W,C activations and K,R,S,C weights, symmetric zero padding, dilation 1.
/// For a depthwise convolution k == c and the weight is K,R,S,1.
struct ConvGeometry {
  std::int64_t n = 1, h = 1, w = 1, c = 1;  ///< src
  std::int64_t k = 1, r = 1, s = 1;         ///< filters and their extent
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;

  // Always inlined: files compiled with ISA flags must not leave copies that the linker could share.
  [[gnu::always_inline]] std::int64_t out_h() const { return (h + 2 * pad_h - r) / stride_h + 1; }
  [[gnu::always_inline]] std::int64_t out_w() const { return (w + 2 * pad_w - s) / stride_w + 1; }
  [[gnu::always_inline]] std::int64_t out_pixels() const { return n * out_h() * out_w(); }
  [[gnu::always_inline]] bool is_pointwise() const {
    return r == 1 && s == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0;
  }
  /// "n8 16x16x32 k64 1x1 s1x1 p0x0"
  std::string str() const;
  friend bool operator==(const ConvGeometry&, const ConvGeometry&) = default;
};

enum class Activation : std::uint8_t { none, relu, relu6 };
const char* name_of(Activation);

/// Reductions over pixels (dW, statistics) run in chunks of this many pixels, each summed in order from zero, the chunk
/// sums then added in order: at most 16 chunks, each a multiple of 256 pixels and at least 1024.
[[gnu::always_inline]] inline constexpr std::int64_t reduction_chunk(std::int64_t pixels) {
  const std::int64_t even = ((pixels + 15) / 16 + 255) / 256 * 256;
  return even < 1024 ? 1024 : even;
}

}  // namespace octet::kernels
