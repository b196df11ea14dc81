// The batch normalisation passes over vectors of channels; included by avx2.cpp and avx512.cpp after their vector
// types.
#include "core/allocator.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/batchnorm/channel_sums.inl"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// Per channel Σ u and Σ u·v of f32 values in double. Layout: [chunk][u, uv][channels rounded up to 16].
class ChannelSums {
 public:
  explicit ChannelSums(const BatchNormProblem& p)
      : pixels_(p.pixels),
        c_(p.c),
        chunk_(reduction_chunk(p.pixels)),
        chunks_(ceil_div(p.pixels, chunk_)),
        stride_(ceil_div(p.c, 16) * 16),
        bytes_(static_cast<std::size_t>((chunks_ + 1) * 2 * stride_) * sizeof(double)),
        parts_(static_cast<double*>(scratch_acquire(bytes_))) {}
  /// To be called once done. A destructor would bring exception tables, with inline code of the compiler's library.
  void release() { scratch_release(parts_, bytes_); }

  /// prepare(c, Whole or Part) gives a function of an element's index that gives {u, v}.
  template <class Prepare>
  void add(Prepare prepare) {
    const std::int64_t wide = chunks_ >= 8 ? stride_ : 128;  // few chunks: cut the channels as well
    const std::int64_t cuts = ceil_div(c_, wide);
    parallel_for(chunks_ * cuts, [&](std::int64_t task) {
      const std::int64_t chunk = task / cuts, first = task % cuts * wide;
      add_chunk(chunk, first, first + wide < c_ ? first + wide : c_, prepare);
    });
    add_chunk_sums(parts_, chunks_, 2 * stride_, total());
  }
  const double* sums() { return total(); }
  const double* products() { return total() + stride_; }

 private:
  double* total() { return parts_ + chunks_ * 2 * stride_; }

  template <class Prepare>
  void add_chunk(std::int64_t chunk, std::int64_t first, std::int64_t last, Prepare prepare) {
    double* sums = parts_ + chunk * 2 * stride_;
    double* products = sums + stride_;
    const std::int64_t padded = last < c_ ? last : stride_;
    for (std::int64_t c = first; c < padded; ++c) sums[c] = products[c] = 0;
    const std::int64_t end = (chunk + 1) * chunk_ < pixels_ ? (chunk + 1) * chunk_ : pixels_;
    for (std::int64_t pixel = chunk * chunk_; pixel < end; pixel += kPixelGroup) {
      const std::int64_t stop = pixel + kPixelGroup < end ? pixel + kPixelGroup : end;
      for_vectors(first, last, [&](std::int64_t c, auto part) {
        add_group(pixel, stop, c, sums + c, products + c, prepare(c, part));
      });
    }
  }

  template <class Element>
  OCTET_SIMD void add_group(std::int64_t pixel, std::int64_t stop, std::int64_t c, double* sums, double* products,
                            Element element) const {
    PairSums pair = PairSums::load(sums, products);
    for (; pixel < stop; ++pixel) {
      const auto [u, v] = element(pixel * c_ + c);
      pair.add(u, v);
    }
    pair.store(sums, products);
  }

  const std::int64_t pixels_, c_, chunk_, chunks_, stride_;
  const std::size_t bytes_;
  double* const parts_;
};

struct Terms {
  VecF u, v;
};

void batchnorm_stats(const BatchNormProblem& p, const BatchNormPointers& x) {
  const float* src = floats(x.src);
  ChannelSums sums(p);
  sums.add([=](std::int64_t, auto part) {
    return [=](std::int64_t i) {
      const VecF z = load(src + i, part);
      return Terms{z, z};
    };
  });
  moments_of(sums.sums(), sums.products(), p.pixels, p.c, floats(x.mean), floats(x.variance));
  sums.release();
}

void affine_act_fwd(const BatchNormProblem& p, const BatchNormPointers& x) {
  const float* src = floats(x.src);
  float* dst = floats(x.dst);
  with_activation(p.act, [&](auto tag) {
    for_channels(p.pixels * p.c, p.c, floats(x.scale), floats(x.shift),
                 [=](std::int64_t i, VecF scale, VecF shift, auto part) {
                   store(activate<decltype(tag)::act>(fma(load(src + i, part), scale, shift)), dst + i, part);
                 });
  });
}

void affine_act_bwd(const BatchNormProblem& p, const BatchNormPointers& x) {
  const float *src = floats(x.src), *scales = floats(x.scale), *shifts = floats(x.shift), *d_dst = floats(x.d_dst);
  float* d_src = floats(x.d_src);
  ChannelSums sums(p);
  with_activation(p.act, [&](auto tag) {
    sums.add([=](std::int64_t c, auto part) {
      const VecF scale = load(scales + c, part), shift = load(shifts + c, part);
      return [=](std::int64_t i) {
        const VecF z = load(src + i, part);
        const VecF g = gate<decltype(tag)::act>(fma(z, scale, shift), load(d_dst + i, part));
        store(g * scale, d_src + i, part);
        return Terms{g, z};
      };
    });
  });
  for (std::int64_t c = 0; c < p.c; ++c) {
    floats(x.d_scale)[c] = static_cast<float>(sums.products()[c]);
    floats(x.d_shift)[c] = static_cast<float>(sums.sums()[c]);
  }
  sums.release();
}

}  // namespace

#define ROW(pass) OCTET_VECTOR_ROW(BatchNormProblem, BatchNormPointers, pass, f32, takes_all, pass)
ROW(batchnorm_stats)
ROW(affine_act_fwd)
ROW(affine_act_bwd)
#undef ROW

}  // namespace octet::kernels
