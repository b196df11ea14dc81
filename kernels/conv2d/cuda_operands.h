// The operands of the device's matrix products (cuda_gemm.h): matrices in memory, and the gathered ones of a
// convolution. Each is a matrix of `outer` lines (rows of the result, or columns) by depth, zero outside:
//   at(outer, d)         one element
//   Line, line(outer)    what is known of a line for all depths — or, with kAlongDepth false, of four neighbouring
//   lines quad(line, d)        elements at d … d+3 — or of the four lines at d —, which lie side by side in memory,
//   16-byte aligned
// Callers keep d inside the depth. Lines outside the matrix are all zero.
#pragma once
#include "core/gpu/dialect.h"
#include "kernels/conv2d/gpu_index.h"

namespace octet::kernels {
namespace {

__device__ inline float4 quad_at(const float* p) { return __ldg(reinterpret_cast<const float4*>(p)); }
__device__ inline float4 no_quad() { return make_float4(0, 0, 0, 0); }

/// Lines of `ld` floats that run along the depth.
struct Rows {
  static constexpr bool kAlongDepth = true;
  const float* data;
  int lines;
  std::int64_t ld;

  using Line = const float*;
  __device__ float at(int outer, int d) const { return outer < lines ? __ldg(data + outer * ld + d) : 0.0f; }
  __device__ Line line(int outer) const { return outer < lines ? data + outer * ld : nullptr; }
  __device__ float4 quad(Line line, int d) const { return line != nullptr ? quad_at(line + d) : no_quad(); }
};

/// The transpose: element (outer, d) is data[d · lines + outer].
struct Columns {
  static constexpr bool kAlongDepth = false;
  const float* data;
  int lines;

  using Line = int;
  __device__ const float* address(int outer, int d) const {
    return data + static_cast<std::int64_t>(d) * lines + outer;
  }
  __device__ float at(int outer, int d) const { return outer < lines ? __ldg(address(outer, d)) : 0.0f; }
  __device__ Line line(int outer) const { return outer; }
  __device__ float4 quad(Line outer, int d) const { return outer < lines ? quad_at(address(outer, d)) : no_quad(); }
};

/// What the gathered operands know of a convolution.
struct Gather {
  Pictures out, in;
  Window over_src, over_dst;  ///< windows counted with the channels of src, and of dst
  Divisor stride_h, stride_w;
  int h, w, p, q, c, k, taps, pad_h, pad_w, in_pixels, out_pixels;

  explicit Gather(const ConvGeometry& g)
      : out(g.out_h(), g.out_w()),
        in(g.h, g.w),
        over_src(g.s, g.c),
        over_dst(g.s, g.k),
        stride_h(g.stride_h),
        stride_w(g.stride_w),
        h(i32(g.h)),
        w(i32(g.w)),
        p(i32(g.out_h())),
        q(i32(g.out_w())),
        c(i32(g.c)),
        k(i32(g.k)),
        taps(i32(g.r * g.s)),
        pad_h(i32(g.pad_h)),
        pad_w(i32(g.pad_w)),
        in_pixels(i32(g.n * g.h * g.w)),
        out_pixels(i32(g.out_pixels())) {}
  static int i32(std::int64_t x) { return static_cast<int>(x); }

  /// Where in src an element of the column of output pixel `to` lies, or null in the padding.
  __device__ const float* window_at(const float* src, const Pixel& to, const Tap& tap) const {
    const int y = to.y * stride_h.value() - pad_h + tap.r, x = to.x * stride_w.value() - pad_w + tap.s;
    if (!inside(y, h) || !inside(x, w)) return nullptr;
    return src + static_cast<std::int64_t>(to.n) * (h * w * c) + ((y * w + x) * c + tap.channel);
  }
  /// Where in dst the output lies that reads source pixel `from` by a tap, or null.
  __device__ const float* reader_of(const float* dst, const Pixel& from, const Tap& tap) const {
    const int y = reader_at(from.y + pad_h - tap.r, stride_h, p), x = reader_at(from.x + pad_w - tap.s, stride_w, q);
    if (y < 0 || x < 0) return nullptr;
    return dst + static_cast<std::int64_t>(from.n) * (p * q * k) + ((y * q + x) * k + tap.channel);
  }
};

__device__ inline float value_or_zero(const float* p) { return p != nullptr ? __ldg(p) : 0.0f; }
__device__ inline float4 quad_or_zeros(const float* p) { return p != nullptr ? quad_at(p) : no_quad(); }

/// A line is an output pixel; the depth is its window in src, (r,s,c).
struct WindowRows {
  static constexpr bool kAlongDepth = true;
  Gather g;
  const float* src;

  using Line = Pixel;
  __device__ Line line(int outer) const { return outer < g.out_pixels ? g.out.pixel(outer) : Pixel{-1, 0, 0}; }
  __device__ float at(int outer, int d) const {
    const Pixel pixel = line(outer);
    return pixel.n < 0 ? 0.0f : value_or_zero(g.window_at(src, pixel, g.over_src.tap(d)));
  }
  __device__ float4 quad(const Line& pixel, int d) const {
    return pixel.n < 0 ? no_quad() : quad_or_zeros(g.window_at(src, pixel, g.over_src.tap(d)));
  }
};

/// The same gather for the gradient of the weight: a line is an element of the window, the depth are the output pixels.
struct WindowColumns {
  static constexpr bool kAlongDepth = false;
  Gather g;
  const float* src;

  using Line = Tap;
  __device__ Line line(int outer) const { return outer < g.taps * g.c ? g.over_src.tap(outer) : Tap{-1, 0, 0}; }
  __device__ float at(int outer, int d) const {
    const Tap tap = line(outer);
    return tap.r < 0 ? 0.0f : value_or_zero(g.window_at(src, g.out.pixel(d), tap));
  }
  __device__ float4 quad(const Line& tap, int d) const {
    return tap.r < 0 ? no_quad() : quad_or_zeros(g.window_at(src, g.out.pixel(d), tap));
  }
};

/// A line is a source pixel; the depth are the taps and channels of dst, (r,s,k), with zeros where no output reads the
/// pixel.
struct ReaderRows {
  static constexpr bool kAlongDepth = true;
  Gather g;
  const float* dst;

  using Line = Pixel;
  __device__ Line line(int outer) const { return outer < g.in_pixels ? g.in.pixel(outer) : Pixel{-1, 0, 0}; }
  __device__ float at(int outer, int d) const {
    const Pixel pixel = line(outer);
    return pixel.n < 0 ? 0.0f : value_or_zero(g.reader_of(dst, pixel, g.over_dst.tap(d)));
  }
  __device__ float4 quad(const Line& pixel, int d) const {
    return pixel.n < 0 ? no_quad() : quad_or_zeros(g.reader_of(dst, pixel, g.over_dst.tap(d)));
  }
};

/// The weight beside ReaderRows: a line is a channel of src, the depth (r,s,k).
struct WeightColumns {
  static constexpr bool kAlongDepth = false;
  Divisor k;
  int c, taps;
  const float* weight;

  using Line = int;
  __device__ const float* address(int outer, int d) const {
    const int tap = k.quotient(d), filter = d - tap * k.value();
    return weight + ((filter * taps + tap) * c + outer);
  }
  __device__ float at(int outer, int d) const { return outer < c ? __ldg(address(outer, d)) : 0.0f; }
  __device__ Line line(int outer) const { return outer; }
  __device__ float4 quad(Line outer, int d) const { return outer < c ? quad_at(address(outer, d)) : no_quad(); }
};

}  // namespace
}  // namespace octet::kernels
