// The operands of the device's matrix products (cuda_gemm.h): matrices in memory, and the gathered ones of a
// convolution. Each is a matrix of `outer` lines (rows of the result, or columns) by depth, zero outside:
//   at(outer, d)         one element
//   Line, line(outer)    what is known of a line for all depths — or, with kAlongDepth false, of four neighbouring
//                        lines
//   quad(line, d)        elements at d … d+3 — or of the four lines at d —, which lie side by side in memory, 16-byte
//                        aligned
// Callers keep d inside the depth. Lines outside the matrix are all zero.
// Those that Through can stand on tell where in memory an element lies, null where it is a zero, and whose it is:
//   place(line, d), channel(line, d)
#pragma once
#include "core/gpu/dialect.h"
#include "kernels/conv2d/gpu_index.h"

namespace octet::kernels {
namespace {

__device__ inline float4 quad_at(const float* p) { return __ldg(reinterpret_cast<const float4*>(p)); }
__device__ inline float4 no_quad() { return make_float4(0, 0, 0, 0); }
__device__ inline float value_or_zero(const float* p) { return p != nullptr ? __ldg(p) : 0.0f; }
__device__ inline float4 quad_or_zeros(const float* p) { return p != nullptr ? quad_at(p) : no_quad(); }

/// Lines of `ld` floats that run along the depth.
struct Rows {
  static constexpr bool kAlongDepth = true;
  const float* data;
  int lines;
  std::int64_t ld;

  using Line = const float*;
  __device__ Line line(int outer) const { return outer < lines ? data + outer * ld : nullptr; }
  __device__ const float* place(Line line, int d) const { return line != nullptr ? line + d : nullptr; }
  __device__ static int channel(Line, int d) { return d; }
  __device__ float at(int outer, int d) const { return value_or_zero(place(line(outer), d)); }
  __device__ float4 quad(Line line, int d) const { return quad_or_zeros(place(line, d)); }
};

/// The transpose: element (outer, d) is data[d · lines + outer].
struct Columns {
  static constexpr bool kAlongDepth = false;
  const float* data;
  int lines;

  using Line = int;
  __device__ Line line(int outer) const { return outer; }
  __device__ const float* place(Line outer, int d) const {
    return outer < lines ? data + static_cast<std::int64_t>(d) * lines + outer : nullptr;
  }
  __device__ static int channel(Line outer, int) { return outer; }
  __device__ float at(int outer, int d) const { return value_or_zero(place(outer, d)); }
  __device__ float4 quad(Line outer, int d) const { return quad_or_zeros(place(outer, d)); }
};

/// Windows over a map: pixel (y, x) of a grid of `pixels` reads, by tap (r, s), the place
/// (y · stride_y + first_y + r · step, x · stride_x + first_x + s · step), or a zero outside of the map.
struct Gather {
  Pictures grid;
  Window window;  ///< counted with the channels of the map
  int pixels, elements, stride_y, stride_x, first_y, first_x, step, h, w, c;

  /// Output pixels read src.
  explicit Gather(const ConvGeometry& g)
      : grid(g.out_h(), g.out_w()),
        window(g.s, g.c),
        pixels(i32(g.out_pixels())),
        elements(i32(g.r * g.s * g.c)),
        stride_y(i32(g.stride_h)),
        stride_x(i32(g.stride_w)),
        first_y(-i32(g.pad_h)),
        first_x(-i32(g.pad_w)),
        step(1),
        h(i32(g.h)),
        w(i32(g.w)),
        c(i32(g.c)) {}
  /// Source pixels of a class each way read the gradients of the outputs that have read them.
  Gather(const ConvGeometry& g, const ReaderClass& y, const ReaderClass& x)
      : grid(y.places, x.places),
        window(x.taps, g.k),
        pixels(i32(g.n * y.places * x.places)),
        elements(i32(y.taps * x.taps * g.k)),
        stride_y(1),
        stride_x(1),
        first_y(i32(y.first_reader)),
        first_x(i32(x.first_reader)),
        step(-1),
        h(i32(g.out_h())),
        w(i32(g.out_w())),
        c(i32(g.k)) {}
  static int i32(std::int64_t x) { return static_cast<int>(x); }

  __device__ Pixel pixel(int i) const { return i < pixels ? grid.pixel(i) : Pixel{-1, 0, 0}; }
  __device__ Tap tap(int i) const { return i < elements ? window.tap(i) : Tap{-1, 0, 0}; }
  __device__ const float* place(const float* map, const Pixel& pixel, const Tap& tap) const {
    const int y = pixel.y * stride_y + first_y + tap.r * step, x = pixel.x * stride_x + first_x + tap.s * step;
    if (pixel.n < 0 || tap.r < 0 || !inside(y, h) || !inside(x, w)) return nullptr;
    return map + static_cast<std::int64_t>(pixel.n) * (h * w * c) + ((y * w + x) * c + tap.channel);
  }
};

/// A line is a pixel; the depth is its window in the map, (r,s,channel).
struct WindowRows {
  static constexpr bool kAlongDepth = true;
  Gather g;
  const float* map;

  using Line = Pixel;
  __device__ Line line(int outer) const { return g.pixel(outer); }
  __device__ const float* place(const Line& pixel, int d) const { return g.place(map, pixel, g.window.tap(d)); }
  __device__ int channel(const Line&, int d) const { return g.window.tap(d).channel; }
  __device__ float at(int outer, int d) const { return value_or_zero(place(line(outer), d)); }
  __device__ float4 quad(const Line& pixel, int d) const { return quad_or_zeros(place(pixel, d)); }
};

/// The same gather for the gradient of the weight: a line is an element of the window, the depth are the pixels.
struct WindowColumns {
  static constexpr bool kAlongDepth = false;
  Gather g;
  const float* map;

  using Line = Tap;
  __device__ Line line(int outer) const { return g.tap(outer); }
  __device__ const float* place(const Line& tap, int d) const { return g.place(map, g.grid.pixel(d), tap); }
  __device__ static int channel(const Line& tap, int) { return tap.channel; }
  __device__ float at(int outer, int d) const { return value_or_zero(place(line(outer), d)); }
  __device__ float4 quad(const Line& tap, int d) const { return quad_or_zeros(place(tap, d)); }
};

/// The weight beside the readers of a class, the taps (first_r + r · stride_h, first_s + s · stride_w): a line is a
/// channel of src, the depth (r,s,k).
struct ClassWeights {
  static constexpr bool kAlongDepth = false;
  Window window;
  int c, taps, row, first, stride_h, stride_w;  ///< taps of a filter, and of one of its rows
  const float* weight;

  ClassWeights(const ConvGeometry& g, const ReaderClass& x, std::int64_t first_r, std::int64_t first_s, const float* w)
      : window(x.taps, g.k),
        c(Gather::i32(g.c)),
        taps(Gather::i32(g.r * g.s)),
        row(Gather::i32(g.s)),
        first(Gather::i32(first_r * g.s + first_s)),
        stride_h(Gather::i32(g.stride_h)),
        stride_w(Gather::i32(g.stride_w)),
        weight(w) {}
  using Line = int;
  __device__ Line line(int outer) const { return outer; }
  __device__ const float* place(Line outer, int d) const {
    if (outer >= c) return nullptr;
    const Tap at = window.tap(d);
    return weight + ((at.channel * taps + first + at.r * stride_h * row + at.s * stride_w) * c + outer);
  }
  __device__ float at(int outer, int d) const { return value_or_zero(place(outer, d)); }
  __device__ float4 quad(Line outer, int d) const { return quad_or_zeros(place(outer, d)); }
};

/// An operand whose elements are made of what lies there, by a Read (cuda_map.h). They are made when they are put in
/// shared memory — finish() of what at() and quad() have loaded —, so that nobody waits for memory behind a load.
template <class Operand, class Read>
struct Through {
  static constexpr bool kAlongDepth = Operand::kAlongDepth;
  Operand operand;
  Read read;

  using Line = typename Operand::Line;
  using One = typename Read::template Loaded<float>;
  using Quad = typename Read::template Loaded<float4>;
  __device__ Line line(int outer) const { return operand.line(outer); }
  __device__ One at(int outer, int d) const { return read.template load<float>(operand.place(line(outer), d)); }
  __device__ Quad quad(const Line& line, int d) const { return read.template load<float4>(operand.place(line, d)); }
  __device__ float finish(const One& one, int outer, int d) const {
    return one.there ? read.value(one, operand.channel(line(outer), d)) : 0.0f;
  }
  __device__ float4 finish(const Quad& quad, const Line& line, int d) const {
    return quad.there ? read.value(quad, operand.channel(line, d)) : no_quad();
  }
};

/// What at() and quad() of an operand give: values, or what its finish() makes values of.
template <class Operand>
struct LoadedBy {
  using One = float;
  using Quad = float4;
};
template <class Operand, class Read>
struct LoadedBy<Through<Operand, Read>> {
  using One = typename Through<Operand, Read>::One;
  using Quad = typename Through<Operand, Read>::Quad;
};

}  // namespace
}  // namespace octet::kernels
