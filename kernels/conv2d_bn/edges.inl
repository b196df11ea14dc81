// The edges of a fused convolution over vectors of channels: the map in front of it, the gradient through that map, the
// late part of its gradient, the statistics of its output (conv_bn.h). Rows are pixels, `ld` floats apart; `first` is
// the channel at which they start. Included after a simd header.
#pragma once
#include "core/allocator.h"
#include "kernels/batchnorm/channel_sums.inl"
#include "kernels/conv_bn_map.inl"
#include "kernels/gemm/extents.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// f(first pixel, past the last, channel, Whole or Part) over groups of pixels and vectors of channels.
template <class F>
inline void for_pixel_groups(std::int64_t pixels, std::int64_t channels, F f) {
  for (std::int64_t i = 0; i < pixels; i += kPixelGroup) {
    const std::int64_t stop = smaller(i + kPixelGroup, pixels);
    for_vectors(0, channels, [&](std::int64_t c, auto part) { f(i, stop, c, part); });
  }
}

inline bool maps(const ConvBnProblem& p) { return p.mapped || p.quantized || p.act != Activation::none; }
OCTET_SIMD int lanes_of(Whole) { return VecF::width; }
OCTET_SIMD int lanes_of(Part part) { return part.n; }

/// f(pixel, channel, act(fma(z, scale, shift)), Whole or Part) for every vector of the source's rows `from`.
template <class F>
inline void for_activated(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first, std::int64_t pixels,
                          std::int64_t channels, const float* from, std::int64_t ld, F f) {
  for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
    const F own = f;  // constants within f may stay in registers: no store can alias this copy
    const MapVector map(p, io, first + c, lanes_of(part));
    for (; i < stop; ++i) own(i, c, map.activated(load(from + i * ld + c, part)), part);
  });
}

/// to = map(from).
inline void map_pixels(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first, std::int64_t pixels,
                       std::int64_t channels, const float* from, std::int64_t ld, float* to, std::int64_t ld_to) {
  if (!p.quantized) {
    for_activated(p, io, first, pixels, channels, from, ld,
                  [=](std::int64_t i, std::int64_t c, VecF y, auto part) { store(y, to + i * ld_to + c, part); });
    return;
  }
  const OnnxGrid grid(grid_of(p), io.step);
  for_activated(p, io, first, pixels, channels, from, ld, [=](std::int64_t i, std::int64_t c, VecF y, auto part) {
    store(grid.value(grid.code(y)), to + i * ld_to + c, part);
  });
}

/// Codes of map(from), whole rows of channels.
inline void quantize_pixels(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t pixels, const float* from,
                            std::uint8_t* to) {
  const std::int64_t ld = p.geometry.c;
  const OnnxGrid grid(grid_of(p), io.step);
  const VecI zero = VecI::set1(p.zero_point);
  for_activated(p, io, 0, pixels, ld, from, ld, [=](std::int64_t i, std::int64_t c, VecF y, auto part) {
    store_bytes(to_int_even(grid.code(y)) + zero, to + i * ld + c, part);
  });
}

/// to = d + fma(z, slope, offset).
inline void complete_gradient(const ConvBnPointers& io, std::int64_t first, std::int64_t pixels, std::int64_t channels,
                              const float* d, const float* z, std::int64_t ld, float* to, std::int64_t ld_to) {
  for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
    const VecF slope = load(io.slope + first + c, part), offset = load(io.offset + first + c, part);
    for (; i < stop; ++i)
      store(load(d + i * ld + c, part) + fma(load(z + i * ld + c, part), slope, offset), to + i * ld_to + c, part);
  });
}

/// Sums per channel of every reduction chunk, in double, and extremes, where the passes of this file leave them: arrays
/// of `stride` entries, channels rounded up to a vector. To be released by hand: a destructor would bring exception
/// tables, with inline code of the compiler's library.
class ChunkSums {
 public:
  ChunkSums(std::int64_t chunks, std::int64_t channels)
      : chunks_(chunks),
        channels_(channels),
        stride_(ceil_div(channels, 16) * 16),
        doubles_(2 * stride_ * (chunks_ + 1)),
        bytes_(static_cast<std::size_t>(doubles_ + stride_ * chunks_) * sizeof(double)),
        parts_(static_cast<double*>(scratch_acquire(bytes_))),
        extremes_(reinterpret_cast<float*>(parts_ + doubles_)) {
    for (std::int64_t i = 0; i < doubles_; ++i) parts_[i] = 0;
    for (std::int64_t i = 0; i < stride_ * chunks_; ++i) {
      const std::int64_t at = i / stride_ * 2 * stride_ + i % stride_;
      extremes_[at] = __builtin_inff();
      extremes_[at + stride_] = -__builtin_inff();
    }
  }
  void release() { scratch_release(parts_, bytes_); }
  double* sums(std::int64_t chunk) const { return parts_ + 2 * chunk * stride_; }
  double* products(std::int64_t chunk) const { return sums(chunk) + stride_; }
  float* low(std::int64_t chunk) const { return extremes_ + 2 * chunk * stride_; }
  float* high(std::int64_t chunk) const { return low(chunk) + stride_; }

  /// mean, variance and extremes of a convolution's output, those that are wanted.
  void store_statistics(std::int64_t pixels, const ConvBnPointers& io) const {
    const double* totals = add_up();
    if (io.mean != nullptr) moments_of(totals, totals + stride_, pixels, channels_, io.mean, io.variance);
    if (io.low == nullptr) return;
    for (std::int64_t c = 0; c < channels_; ++c) {
      float least = low(0)[c], most = high(0)[c];
      for (std::int64_t chunk = 1; chunk < chunks_; ++chunk) {
        least = low(chunk)[c] < least ? low(chunk)[c] : least;
        most = high(chunk)[c] > most ? high(chunk)[c] : most;
      }
      // A sum of squares is NaN just when an element was.
      const bool lost = totals[stride_ + c] != totals[stride_ + c];
      io.low[c] = lost ? __builtin_nanf("") : least;
      io.high[c] = lost ? __builtin_nanf("") : most;
    }
  }
  void store_affine_gradient(const ConvBnPointers& io) const {
    const double* totals = add_up();
    for (std::int64_t c = 0; c < channels_; ++c) {
      io.d_scale[c] = static_cast<float>(totals[stride_ + c]);
      io.d_shift[c] = static_cast<float>(totals[c]);
    }
  }

 private:
  const double* add_up() const {
    double* totals = parts_ + 2 * stride_ * chunks_;
    add_chunk_sums(parts_, chunks_, 2 * stride_, totals);
    return totals;
  }
  const std::int64_t chunks_, channels_, stride_, doubles_;
  const std::size_t bytes_;
  double* const parts_;
  float* const extremes_;
};

/// Adds pixels of a convolution's output to chunk's sums and extremes.
inline void add_statistics(const ChunkSums& to, std::int64_t chunk, std::int64_t first, std::int64_t pixels,
                           std::int64_t channels, const float* z, std::int64_t ld) {
  double *sums = to.sums(chunk) + first, *products = to.products(chunk) + first;
  float *lows = to.low(chunk) + first, *highs = to.high(chunk) + first;
  for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
    PairSums total = PairSums::load(sums + c, products + c);
    VecF low = VecF::load(lows + c), high = VecF::load(highs + c);
    for (; i < stop; ++i) {
      const VecF v = load(z + i * ld + c, part);
      total.add(v, v);
      low = min(v, low);
      high = max(v, high);
    }
    total.store(sums + c, products + c);
    low.store(lows + c);
    high.store(highs + c);
  });
}

/// What the gradient through a map needs and adds to: Σ g and Σ g·z.
struct MapGradient {
  ChunkSums sums;
  Gate gate;
};

/// From the gradient d_x of the mapped source to that of the raw source z: writes d_src and, when mapped, adds to
/// chunk's sums. d_x has rows ld_x apart, z and d_src `ld`.
inline void gradient_through_map(const ConvBnProblem& p, const ConvBnPointers& io, const MapGradient& to,
                                 std::int64_t chunk, std::int64_t first, std::int64_t pixels, std::int64_t channels,
                                 const float* d_x, std::int64_t ld_x, const float* z, float* d_src, std::int64_t ld) {
  double *sums = to.sums.sums(chunk) + first, *products = to.sums.products(chunk) + first;
  const bool mapped = p.mapped, open = to.gate.open;
  const VecF least = VecF::set1(to.gate.least), most = VecF::set1(to.gate.most);
  for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
    const VecF from = least, upto = most;
    const MapVector map(p, io, first + c, lanes_of(part));
    PairSums total = PairSums::load(sums + c, products + c);
    for (; i < stop; ++i) {
      const VecF raw = load(z + i * ld + c, part), t = map.affine(raw);
      VecF g = load(d_x + i * ld_x + c, part);
      if (!open) g = select((t >= from) & (t <= upto), g, VecF::zero());
      store(mapped ? g * map.scale : g, d_src + i * ld + c, part);
      if (mapped) total.add(g, raw);
    }
    if (mapped) total.store(sums + c, products + c);
  });
}

}  // namespace
}  // namespace octet::kernels
