// dwconv2d_bn on vectors of channels. A task takes whole pictures that fill whole reduction chunks, and a block of
// channels; it walks a few pictures at a time, a vector of channels at a time, so that what lies between the passes (the
// mapped source, the whole gradient, the gradient of the mapped source) is a few kilobytes as [pixel][VecF::width].
// Included after a simd header.
#include "core/allocator.h"
#include "core/parallel.h"
#include "kernels/batchnorm/channel_sums.inl"
#include "kernels/dwconv2d/pixel_pass.inl"
#include "kernels/dwconv2d/whole_windows.inl"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "kernels/dwconv2d_bn/map_vector.inl"
#include "kernels/gemm/column_sums.inl"
#include "kernels/gemm/transpose.inl"

namespace octet::kernels {
namespace {

/// Pixels of the largest picture taken, and about as many as are walked at a time.
constexpr std::int64_t kMostPixels = 1024, kWalkPixels = 256;
constexpr int kTaps = kSide * kSide;

/// What lies between the passes; on the stack, where it stays in the cache from task to task.
struct Between {
  alignas(64) float src[kMostPixels * VecF::width];
  alignas(64) float d[kMostPixels * VecF::width];
  alignas(64) float d_src[kMostPixels * VecF::width];
};

/// Pictures of a reduction chunk of pictures of `pixels`; 0: a chunk ends within a picture.
inline std::int64_t chunk_pictures(std::int64_t n, std::int64_t pixels) {
  const std::int64_t chunk = reduction_chunk(n * pixels);
  if (chunk >= n * pixels) return larger(n, 1);
  return chunk % pixels == 0 ? chunk / pixels : 0;
}
inline std::int64_t common_multiple(std::int64_t a, std::int64_t b) {
  std::int64_t multiple = a;
  while (multiple % b != 0) multiple += a;
  return multiple;
}

/// f(Whole) for a full vector, else f(Part).
template <class F>
OCTET_SIMD void with_lanes(int lanes, F f) {
  if (lanes == VecF::width) return f(Whole{});
  f(Part{lanes});
}

/// A call's problem, its operands, and how it is cut.
struct Call {
  const ConvBnProblem& p;
  const ConvBnPointers& io;
  ConvGeometry g;
  Windows windows;
  std::int64_t src_pixels, dst_pixels;      ///< of a picture
  std::int64_t vectors, padded;             ///< of channels; channels in whole vectors
  std::int64_t src_chunk, dst_chunk, task;  ///< pictures of each
  float* taps;                              ///< [r·s][padded]
  Runs forward, backward;                   ///< Windows::other

  Call(const ConvBnProblem& problem, const ConvBnPointers& pointers, bool is_backward)
      : p(problem), io(pointers), g(problem.geometry), windows(windows_of(g)) {
    src_pixels = g.h * g.w, dst_pixels = g.out_h() * g.out_w();
    vectors = ceil_div(g.c, VecF::width), padded = vectors * VecF::width;
    src_chunk = chunk_pictures(g.n, src_pixels), dst_chunk = chunk_pictures(g.n, dst_pixels);
    task = smaller(is_backward ? common_multiple(src_chunk, dst_chunk) : dst_chunk, larger(g.n, 1));
    taps = static_cast<float*>(scratch_acquire(tap_bytes()));
    transpose_matrix(io.weight, g.c, g.r * g.s, g.r * g.s, taps, padded);
    for (std::int64_t t = 0; t < g.r * g.s; ++t)
      for (std::int64_t c = g.c; c < padded; ++c) taps[t * padded + c] = 0;
    if (windows != Windows::other) return;
    forward = find_runs(right_axis(g, false));
    backward = find_runs(right_axis(g, true));
  }
  void release() const {
    scratch_release(taps, tap_bytes());
    if (windows != Windows::other) return;
    scratch_release(forward.runs, run_bytes(right_axis(g, false)));
    scratch_release(backward.runs, run_bytes(right_axis(g, true)));
  }
  std::size_t tap_bytes() const { return static_cast<std::size_t>(g.r * g.s * padded) * sizeof(float); }
  std::int64_t src_chunks() const { return ceil_div(g.n, src_chunk); }
  std::int64_t dst_chunks() const { return ceil_div(g.n, dst_chunk); }
  /// The one tap over a picture of one pixel, in a grid of `side` columns.
  std::int64_t point_tap(std::int64_t side) const { return g.pad_h * side + g.pad_w; }
  const float* taps_of(std::int64_t v) const {
    return taps + (windows == Windows::point ? point_tap(g.s) * padded : 0) + v * VecF::width;
  }
  int lanes(std::int64_t v) const { return static_cast<int>(smaller(g.c - v * VecF::width, VecF::width)); }
  VectorPictures pictures(std::int64_t count, std::int64_t v, const Between& b) const {
    return {count, g.h, g.w, g.out_h(), g.out_w(), b.src, b.d, taps_of(v), padded};
  }
  /// The pass of Windows::other from `src` to `dst`, both [pixel][VecF::width].
  Pass pass(bool is_backward, std::int64_t count, std::int64_t v, const float* src, float* dst) const {
    return {down_axis(g, is_backward), right_axis(g, is_backward), count,       VecF::width, src, taps_of(v), nullptr, dst,
            VecF::width,               VecF::width,                padded};
  }
};


/// f(first picture, last, first vector, last) for every task, in parallel.
template <class F>
inline void for_tasks(const Call& call, F f) {
  constexpr std::int64_t kWantedTasks = 8, kUnit = 32;
  const std::int64_t groups = ceil_div(call.g.n, call.task);
  const std::int64_t cuts = groups > 0 && groups < kWantedTasks ? ceil_div(kWantedTasks, groups) : 1;
  const std::int64_t wide = even_block(call.g.c, ceil_div(call.g.c, cuts), kUnit) / VecF::width;
  const std::int64_t blocks = ceil_div(call.vectors, wide);
  parallel_for(groups * blocks, [&](std::int64_t i) {
    const std::int64_t n = i / blocks * call.task, v = i % blocks * wide;
    f(n, smaller(n + call.task, call.g.n), v, smaller(v + wide, call.vectors));
  });
}

/// f(first picture, count) for a few pictures at a time, which no chunk of either side parts.
template <class F>
OCTET_SIMD void for_pictures(const Call& call, bool both_sides, std::int64_t n, std::int64_t last, F f) {
  const std::int64_t most = larger(kWalkPixels / larger(call.src_pixels, call.dst_pixels), 1);
  while (n < last) {
    std::int64_t stop = smaller(n + most, (n / call.dst_chunk + 1) * call.dst_chunk);
    if (both_sides) stop = smaller(stop, (n / call.src_chunk + 1) * call.src_chunk);
    stop = smaller(stop, last);
    f(n, stop - n);
    n = stop;
  }
}

/// The mapped source of `count` pictures from picture n on.
template <bool Quantized, class Lanes>
void load_mapped(const Call& call, std::int64_t n, std::int64_t count, std::int64_t v, Lanes part, float* to) {
  const std::int64_t c = call.g.c, pixels = count * call.src_pixels;
  const float* src = call.io.src + n * call.src_pixels * c + v * VecF::width;
  const MapVector map(call.p, call.io, v * VecF::width, call.lanes(v));
  const OnnxGrid grid(grid_of(call.p), call.io.step);
  for (std::int64_t i = 0; i < pixels; ++i, src += c, to += VecF::width) {
    const VecF y = map.activated(load(src, part));
    (Quantized ? grid.value(grid.code(y)) : y).store(to);
  }
}
inline void load_mapped(const Call& call, std::int64_t n, std::int64_t count, std::int64_t v, float* to) {
  with_lanes(call.lanes(v), [&](auto part) {
    if (call.p.quantized)
      load_mapped<true>(call, n, count, v, part, to);
    else
      load_mapped<false>(call, n, count, v, part, to);
  });
}

/// Where forward's sums go: dst, and the statistics of a chunk.
struct Output {
  float* dst;
  std::int64_t pitch;
  PairSums moments;
  VecF low, high;
  MaskF lost;
  OCTET_SIMD void operator()(VecF z) {
    z.store(dst);
    dst += pitch;
    moments.add(z, z);
    low = min(z, low);
    high = max(z, high);
    lost = lost | is_nan(z);
  }
};
/// Where backward's go: the gradient of the mapped source.
struct Keep {
  float* to;
  OCTET_SIMD void operator()(VecF d) {
    d.store(to);
    to += VecF::width;
  }
};

/// Per chunk and channel: Σ z and Σ z² [2][padded], least, greatest, and not 0 when there was a NaN [3][padded].
struct Statistics {
  double* moments;
  float* extremes;
};

inline void start_statistics(const Call& call, const Statistics& s, std::int64_t chunk, std::int64_t v) {
  double* moments = s.moments + chunk * 2 * call.padded + v * VecF::width;
  float* extremes = s.extremes + chunk * 3 * call.padded + v * VecF::width;
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < VecF::width; ++i) moments[half * call.padded + i] = 0;
  VecF::set1(__builtin_inff()).store(extremes);
  VecF::set1(-__builtin_inff()).store(extremes + call.padded);
  VecF::zero().store(extremes + 2 * call.padded);
}

/// The sums of `count` pictures under the taps, by whichever code their windows have.
template <class Sink>
inline void forward_windows(const Call& call, std::int64_t count, std::int64_t v, Between& b, Sink& sink) {
  const VectorPictures pictures = call.pictures(count, v, b);
  if (call.windows == Windows::same) return sum_windows<1>(pictures, sink);
  if (call.windows == Windows::halving) return sum_windows<2>(pictures, sink);
  if (call.windows == Windows::point) return sum_points(b.src, pictures, sink);
  const Pass pass = call.pass(false, count, v, b.src, b.d);
  for (std::int64_t row = 0; row < count * pass.down.out; ++row)
    sum_taps_of_row(pass, call.forward, row / pass.down.out, row % pass.down.out);
  for (std::int64_t i = 0; i < count * call.dst_pixels; ++i) sink(VecF::load(b.d + i * VecF::width));
}

/// `count` pictures from picture n on, vector v of their channels, statistics of chunk n / dst_chunk.
inline void forward_vector(const Call& call, const Statistics& s, std::int64_t n, std::int64_t count, std::int64_t v,
                           Between& b) {
  const std::int64_t chunk = n / call.dst_chunk, c = v * VecF::width, padded = call.padded;
  double* moments = s.moments + chunk * 2 * padded + c;
  float* extremes = s.extremes + chunk * 3 * padded + c;
  float* dst = call.io.dst + n * call.dst_pixels * call.g.c + c;
  const int lanes = call.lanes(v);
  const bool whole = lanes == VecF::width;
  load_mapped(call, n, count, v, b.src);
  Output output{whole ? dst : b.d_src,
                whole ? call.g.c : VecF::width,
                PairSums::load(moments, moments + padded),
                VecF::load(extremes),
                VecF::load(extremes + padded),
                VecF::load(extremes + 2 * padded) > VecF::zero()};
  forward_windows(call, count, v, b, output);
  output.moments.store(moments, moments + padded);
  output.low.store(extremes);
  output.high.store(extremes + padded);
  select(output.lost, VecF::set1(1.0f), VecF::zero()).store(extremes + 2 * padded);
  if (whole) return;
  for (std::int64_t i = 0; i < count * call.dst_pixels; ++i)
    VecF::load(b.d_src + i * VecF::width).store(dst + i * call.g.c, lanes);
}

/// Chunks in order; of equal zeros the first one stays.
inline void finish_extremes(const Call& call, const Statistics& s) {
  for (std::int64_t c = 0; c < call.g.c; ++c) {
    float low = __builtin_inff(), high = -low;
    bool lost = false;
    for (std::int64_t chunk = 0; chunk < call.dst_chunks(); ++chunk) {
      const float* part = s.extremes + chunk * 3 * call.padded + c;
      if (part[0] < low) low = part[0];
      if (part[call.padded] > high) high = part[call.padded];
      lost = lost || part[2 * call.padded] > 0;
    }
    call.io.low[c] = lost ? __builtin_nanf("") : low;
    call.io.high[c] = lost ? __builtin_nanf("") : high;
  }
}

void dwconv2d_bn_forward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Call call(p, io, false);
  const std::int64_t chunks = call.dst_chunks(), padded = call.padded;
  const auto moment_bytes = static_cast<std::size_t>((chunks + 1) * 2 * padded) * sizeof(double);
  const auto extreme_bytes = static_cast<std::size_t>(chunks * 3 * padded) * sizeof(float);
  const Statistics s{static_cast<double*>(scratch_acquire(moment_bytes)),
                     static_cast<float*>(scratch_acquire(extreme_bytes))};
  for_tasks(call, [&](std::int64_t first, std::int64_t last, std::int64_t v0, std::int64_t v1) {
    Between between;
    for_pictures(call, false, first, last, [&](std::int64_t n, std::int64_t count) {
      for (std::int64_t v = v0; v < v1; ++v) {
        if (n % call.dst_chunk == 0) start_statistics(call, s, n / call.dst_chunk, v);
        forward_vector(call, s, n, count, v, between);
      }
    });
  });
  if (io.mean != nullptr) {
    double* total = s.moments + chunks * 2 * padded;
    add_chunk_sums(s.moments, chunks, 2 * padded, total);
    moments_of(total, total + padded, call.g.out_pixels(), call.g.c, io.mean, io.variance);
  }
  if (io.low != nullptr) finish_extremes(call, s);
  scratch_release(s.moments, moment_bytes);
  scratch_release(s.extremes, extreme_bytes);
  call.release();
}

/// d_dst with the gradient of the statistics added.
template <class Lanes>
void load_gradient(const Call& call, std::int64_t n, std::int64_t count, std::int64_t v, Lanes part, float* to) {
  const std::int64_t c = call.g.c, at = n * call.dst_pixels * c + v * VecF::width, pixels = count * call.dst_pixels;
  const float *d = call.io.d_dst + at, *z = call.io.z_dst + at;
  if (call.io.slope == nullptr) {
    for (std::int64_t i = 0; i < pixels; ++i, d += c, to += VecF::width) load(d, part).store(to);
    return;
  }
  const VecF slope = load(call.io.slope + v * VecF::width, part), offset = load(call.io.offset + v * VecF::width, part);
  for (std::int64_t i = 0; i < pixels; ++i, d += c, z += c, to += VecF::width)
    (load(d, part) + fma(load(z, part), slope, offset)).store(to);
}

/// d_src of `count` pictures from the gradient of the mapped source; adds Σ g · src and Σ g.
template <bool Open, class Lanes>
void pass_gate(const Call& call, const Gate& gate, std::int64_t n, std::int64_t count, std::int64_t v, Lanes part,
               const float* d_mapped, PairSums& sums) {
  const std::int64_t c = call.g.c, at = n * call.src_pixels * c + v * VecF::width, pixels = count * call.src_pixels;
  const float* src = call.io.src + at;
  float* d_src = call.io.d_src + at;
  const MapVector map(call.p, call.io, v * VecF::width, call.lanes(v));
  const VecF least = VecF::set1(gate.least), most = VecF::set1(gate.most);
  PairSums own = sums;
  for (std::int64_t i = 0; i < pixels; ++i, src += c, d_src += c, d_mapped += VecF::width) {
    const VecF x = load(src, part), t = map.affine(x);
    VecF d = VecF::load(d_mapped);
    if (!Open) d = select((t >= least) & (t <= most), d, VecF::zero());
    store(d * map.scale, d_src, part);
    own.add(d, x);
  }
  sums = own;
}

/// The sums of a backward call: per chunk of dst Σ d · src under each tap [kTaps][padded], per chunk of src Σ g and
/// Σ g · src [2][padded].
struct GradientSums {
  float* products;
  double* map;
};

inline void add_weight_products(const Call& call, std::int64_t count, std::int64_t v, const Between& b, float* products) {
  VecF sums[2][kTaps];
  if (call.windows == Windows::point) {
    float* sum = products + call.point_tap(kSide) * call.padded;
    add_point_products(call.pictures(count, v, b), VecF::load(sum)).store(sum);
    return;
  }
  for (int t = 0; t < kTaps; ++t) sums[0][t] = VecF::load(products + t * call.padded);
  if (call.windows == Windows::same) {
    add_products<1>(call.pictures(count, v, b), sums[0]);
  } else if (call.windows == Windows::halving) {
    add_products<2>(call.pictures(count, v, b), sums[0]);
  } else {
    const Pass pass = call.pass(false, count, v, b.src, const_cast<float*>(b.d));  // dst is only read here
    sum_products_of_pixels(pass, call.forward, {0, count * call.dst_pixels, 0, VecF::width, nullptr}, sums);
  }
  for (int t = 0; t < kTaps; ++t) sums[0][t].store(products + t * call.padded);
}

inline void backward_windows(const Call& call, std::int64_t count, std::int64_t v, Between& b) {
  const VectorPictures pictures = call.pictures(count, v, b);
  Keep keep{b.d_src};
  if (call.windows == Windows::same) return sum_mirrored(pictures, keep);
  if (call.windows == Windows::halving) return sum_halved(pictures, keep);
  if (call.windows == Windows::point) return sum_points(b.d, pictures, keep);
  const Pass pass = call.pass(true, count, v, b.d, b.d_src);
  for (std::int64_t row = 0; row < count * pass.down.out; ++row)
    sum_taps_of_row(pass, call.backward, row / pass.down.out, row % pass.down.out);
}

inline void backward_vector(const Call& call, const Gate& gate, const GradientSums& s, std::int64_t n,
                            std::int64_t count, std::int64_t v, Between& b) {
  const std::int64_t c = v * VecF::width, padded = call.padded;
  float* products = s.products + n / call.dst_chunk * kTaps * padded + c;
  double* map = s.map + n / call.src_chunk * 2 * padded + c;
  if (n % call.dst_chunk == 0)
    for (int t = 0; t < kTaps; ++t) VecF::zero().store(products + t * padded);
  if (n % call.src_chunk == 0)
    for (int i = 0; i < VecF::width; ++i) map[i] = map[padded + i] = 0;
  with_lanes(call.lanes(v), [&](auto part) { load_gradient(call, n, count, v, part, b.d); });
  if (call.io.d_weight != nullptr) {
    load_mapped(call, n, count, v, b.src);
    add_weight_products(call, count, v, b, products);
  }
  if (call.io.d_src == nullptr) return;
  backward_windows(call, count, v, b);
  PairSums sums = PairSums::load(map, map + padded);
  with_lanes(call.lanes(v), [&](auto part) {
    if (gate.open)
      pass_gate<true>(call, gate, n, count, v, part, b.d_src, sums);
    else
      pass_gate<false>(call, gate, n, count, v, part, b.d_src, sums);
  });
  sums.store(map, map + padded);
}

/// Chunk sums added in order, into the layout of the weight.
inline void finish_weight(const Call& call, float* products) {
  const std::int64_t count = kTaps * call.padded;
  if (call.dst_chunks() == 0)
    for (std::int64_t i = 0; i < count; ++i) products[i] = 0;
  add_parts(products + count, call.dst_chunks() - 1, count, products);
  for (std::int64_t r = 0; r < call.g.r; ++r)
    transpose_matrix(products + r * kSide * call.padded, call.g.s, call.g.c, call.padded,
                     call.io.d_weight + r * call.g.s, call.g.r * call.g.s);
}

void dwconv2d_bn_backward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const Call call(p, io, true);
  const Gate gate = gate_of(p, io.step);
  const std::int64_t padded = call.padded, dst_chunks = larger(call.dst_chunks(), 1);
  const auto product_bytes = static_cast<std::size_t>(dst_chunks * kTaps * padded) * sizeof(float);
  const auto map_bytes = static_cast<std::size_t>((call.src_chunks() + 1) * 2 * padded) * sizeof(double);
  const GradientSums s{static_cast<float*>(scratch_acquire(product_bytes)),
                       static_cast<double*>(scratch_acquire(map_bytes))};
  for_tasks(call, [&](std::int64_t first, std::int64_t last, std::int64_t v0, std::int64_t v1) {
    Between between;
    for_pictures(call, true, first, last, [&](std::int64_t n, std::int64_t count) {
      for (std::int64_t v = v0; v < v1; ++v) backward_vector(call, gate, s, n, count, v, between);
    });
  });
  if (io.d_weight != nullptr) finish_weight(call, s.products);
  if (io.d_src != nullptr && p.mapped) {
    double* total = s.map + call.src_chunks() * 2 * padded;
    add_chunk_sums(s.map, call.src_chunks(), 2 * padded, total);
    for (std::int64_t c = 0; c < call.g.c; ++c) {
      io.d_shift[c] = static_cast<float>(total[c]);
      io.d_scale[c] = static_cast<float>(total[padded + c]);
    }
  }
  scratch_release(s.products, product_bytes);
  scratch_release(s.map, map_bytes);
  call.release();
}

/// Null, or why these rows do not take a problem.
inline const char* forward_refusal(const ConvBnProblem& p) {
  const ConvGeometry& g = p.geometry;
  if (g.r > kSide || g.s > kSide) return "a window beyond 3x3";
  if (g.h * g.w > kMostPixels || g.out_h() * g.out_w() > kMostPixels) return "pictures beyond 1024 pixels";
  if (chunk_pictures(g.n, g.out_h() * g.out_w()) == 0) return "a reduction chunk ends within a picture";
  return p.quantized ? codes_too_wide(grid_of(p)) : nullptr;
}
inline const char* backward_refusal(const ConvBnProblem& p) {
  if (const char* reason = forward_refusal(p); reason != nullptr) return reason;
  const bool fits = chunk_pictures(p.geometry.n, p.geometry.h * p.geometry.w) > 0;
  return fits ? nullptr : "a reduction chunk ends within a picture";
}

}  // namespace

#define ROW(pass, refuses, runs) OCTET_VECTOR_ROW(ConvBnProblem, ConvBnPointers, pass, f32, refuses, runs)
ROW(dwconv2d_bn_fwd, forward_refusal, dwconv2d_bn_forward)
ROW(dwconv2d_bn_bwd, backward_refusal, dwconv2d_bn_backward)
#undef ROW

}  // namespace octet::kernels
