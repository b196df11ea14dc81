// The edges of a fused convolution over vectors of channels: the map in front of it, the gradient through that map, the
// late part of its gradient, the statistics of its output (conv_bn.h). Rows are pixels, `ld` floats apart; `first` is
// the channel at which they start. Included after a simd header.
#pragma once
#include "core/allocator.h"
#include "kernels/conv_bn.h"
#include "kernels/fake_quant/codes_vector.inl"
#include "kernels/gemm/extents.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// Pixels that pass while a channel's constants and sums stay in registers.
constexpr std::int64_t kPixelGroup = 8;

/// f(first pixel, past the last, channel, Whole or Part) over groups of pixels and vectors of channels.
template <class F>
inline void for_pixel_groups(std::int64_t pixels, std::int64_t channels, F f) {
  for (std::int64_t i = 0; i < pixels; i += kPixelGroup) {
    const std::int64_t stop = smaller(i + kPixelGroup, pixels);
    for_vectors(0, channels, [&](std::int64_t c, auto part) { f(i, stop, c, part); });
  }
}

template <bool Mapped, Activation Act, bool Quantized>
struct MapTag {
  static constexpr bool mapped = Mapped, quantized = Quantized;
  static constexpr Activation act = Act;
};
/// f(tag) with the kind of map known at compile time.
template <class F>
inline void with_map(const ConvBnProblem& p, F f) {
  with_activation(p.act, [&](auto act) {
    constexpr Activation kAct = decltype(act)::act;
    if (p.mapped) return p.quantized ? f(MapTag<true, kAct, true>{}) : f(MapTag<true, kAct, false>{});
    return p.quantized ? f(MapTag<false, kAct, true>{}) : f(MapTag<false, kAct, false>{});
  });
}
inline bool maps(const ConvBnProblem& p) { return p.mapped || p.quantized || p.act != Activation::none; }

inline OnnxGrid grid_of(const ConvBnProblem& p, const ConvBnPointers& io) {
  FakeQuantProblem grid;
  grid.zero_point = p.zero_point, grid.lo = p.lo, grid.hi = p.hi;
  return {grid, io.step};
}

/// The map's constants for one vector of channels.
template <class Tag>
struct VectorMap {
  VecF scale, shift;
  template <class Lanes>
  OCTET_SIMD VectorMap(const ConvBnPointers& io, std::int64_t c, Lanes part)
      : scale(Tag::mapped ? load(io.scale + c, part) : VecF::zero()),
        shift(Tag::mapped ? load(io.shift + c, part) : VecF::zero()) {}
  OCTET_SIMD VecF affine(VecF z) const { return Tag::mapped ? fma(z, scale, shift) : z; }
  OCTET_SIMD VecF activated(VecF z) const { return activate<Tag::act>(affine(z)); }
};

/// to = map(from).
inline void map_pixels(const ConvBnProblem& p, const ConvBnPointers& io, std::int64_t first, std::int64_t pixels,
                       std::int64_t channels, const float* from, std::int64_t ld, float* to, std::int64_t ld_to) {
  with_map(p, [&](auto tag) {
    using Tag = decltype(tag);
    const OnnxGrid grid = grid_of(p, io);
    for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
      const OnnxGrid own = grid;
      const VectorMap<Tag> map(io, first + c, part);
      for (; i < stop; ++i) {
        const VecF y = map.activated(load(from + i * ld + c, part));
        store(Tag::quantized ? own.value(own.code(y)) : y, to + i * ld_to + c, part);
      }
    });
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

/// Σ u and Σ u·v of one vector of channels in double, pixel after pixel.
struct VectorSums {
  VecD sum0, sum1, product0, product1;
  OCTET_SIMD VectorSums(const double* sums, const double* products)
      : sum0(VecD::load(sums)),
        sum1(VecD::load(sums + VecD::width)),
        product0(VecD::load(products)),
        product1(VecD::load(products + VecD::width)) {}
  OCTET_SIMD void add(VecF u, VecF v) {
    const VecD u0 = widen_low(u), u1 = widen_high(u);
    sum0 = sum0 + u0;
    sum1 = sum1 + u1;
    product0 = fma(u0, widen_low(v), product0);
    product1 = fma(u1, widen_high(v), product1);
  }
  OCTET_SIMD void store(double* sums, double* products) const {
    sum0.store(sums);
    sum1.store(sums + VecD::width);
    product0.store(products);
    product1.store(products + VecD::width);
  }
};

/// Sums per channel of every reduction chunk, in double, and extremes, where the passes of this file leave them: arrays
/// of `stride` entries, channels rounded up to a vector. To be released by hand: a destructor would bring exception
/// tables, with inline code of the compiler's library.
class ChunkSums {
 public:
  ChunkSums(std::int64_t chunks, std::int64_t channels)
      : chunks_(chunks),
        channels_(channels),
        stride_(ceil_div(channels, 16) * 16),
        doubles_(2 * stride_ * chunks_),
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
  /// Chunks added in order.
  double sum(std::int64_t c) const { return total(c); }
  double product(std::int64_t c) const { return total(stride_ + c); }

  /// mean, variance and extremes of a convolution's output, those that are wanted.
  void store_statistics(std::int64_t pixels, const ConvBnPointers& io) const {
    const double n = static_cast<double>(pixels);
    for (std::int64_t c = 0; c < channels_; ++c) {
      const double squares = product(c);
      if (io.mean != nullptr) {
        const double mean = sum(c) / n, variance = __builtin_fma(-mean, mean, squares / n);
        io.mean[c] = static_cast<float>(mean);
        io.variance[c] = static_cast<float>(0.0 > variance ? 0.0 : variance);
      }
      if (io.low == nullptr) continue;
      float least = low(0)[c], most = high(0)[c];
      for (std::int64_t chunk = 1; chunk < chunks_; ++chunk) {
        least = low(chunk)[c] < least ? low(chunk)[c] : least;
        most = high(chunk)[c] > most ? high(chunk)[c] : most;
      }
      // A sum of squares is NaN just when an element was.
      const bool lost = squares != squares;
      io.low[c] = lost ? __builtin_nanf("") : least;
      io.high[c] = lost ? __builtin_nanf("") : most;
    }
  }
  void store_affine_gradient(const ConvBnPointers& io) const {
    for (std::int64_t c = 0; c < channels_; ++c) {
      io.d_scale[c] = static_cast<float>(product(c));
      io.d_shift[c] = static_cast<float>(sum(c));
    }
  }

 private:
  double total(std::int64_t at) const {
    double sum = 0;
    for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) sum += parts_[2 * chunk * stride_ + at];
    return sum;
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
    VectorSums total(sums + c, products + c);
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

/// From the gradient d_x of the mapped source to that of the raw source z: writes d_src and, when mapped, adds to
/// chunk's sums Σ g and Σ g·z. d_x has rows ld_x apart, z and d_src `ld`.
inline void gradient_through_map(const ConvBnProblem& p, const ConvBnPointers& io, const ChunkSums& to,
                                 std::int64_t chunk, std::int64_t first, std::int64_t pixels, std::int64_t channels,
                                 const float* d_x, std::int64_t ld_x, const float* z, float* d_src, std::int64_t ld) {
  double *sums = to.sums(chunk) + first, *products = to.products(chunk) + first;
  with_map(p, [&](auto tag) {
    using Tag = decltype(tag);
    const OnnxGrid grid = grid_of(p, io);
    const bool masked = p.masked;
    for_pixel_groups(pixels, channels, [&](std::int64_t i, std::int64_t stop, std::int64_t c, auto part) {
      const OnnxGrid own = grid;
      const VectorMap<Tag> map(io, first + c, part);
      VectorSums total(sums + c, products + c);
      for (; i < stop; ++i) {
        const VecF raw = load(z + i * ld + c, part), t = map.affine(raw);
        VecF g = load(d_x + i * ld_x + c, part);
        if (Tag::quantized && masked) {
          const VecF place = own.position(activate<Tag::act>(t));
          g = select((place >= own.lo) & (place <= own.hi), g, VecF::zero());
        }
        g = gate<Tag::act>(t, g);
        store(Tag::mapped ? g * map.scale : g, d_src + i * ld + c, part);
        if (Tag::mapped) total.add(g, raw);
      }
      if (Tag::mapped) total.store(sums + c, products + c);
    });
  });
}

}  // namespace
}  // namespace octet::kernels
