// dwconv2d_bn on vectors of channels. A task takes whole pictures that fill whole reduction chunks, and a block of
// channels. It walks a few pictures at a time: their mapped source and whole gradient are loaded in the order of memory
// into [vector of channels][pixel][VecF::width], which stays in the second-level cache; there the windows are summed a
// vector of channels at a time, and while a sum is in a register it passes the gate, is added to the statistics and
// stored. Meanwhile the memory of the next pictures is asked for. Included after a simd header.
#include "core/allocator.h"
#include "core/parallel.h"
#include "kernels/batchnorm/channel_sums.inl"
#include "kernels/conv_bn_map.inl"
#include "kernels/dwconv2d/pixel_pass.inl"
#include "kernels/dwconv2d/whole_windows.inl"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "kernels/gemm/column_sums.inl"
#include "kernels/gemm/transpose.inl"

namespace octet::kernels {
namespace {

/// Floats of what lies between two passes at most, and where one picture has fewer; pixels of the largest one taken.
constexpr std::int64_t kBetween = 16384, kUsual = 8192, kMostPixels = kBetween / 16;
constexpr int kTaps = kSide * kSide;

/// What lies between the passes, each [vector][pixel][VecF::width]; on the stack, where it stays in the cache from task
/// to task. `room` takes one vector's sums where they cannot be stored at once.
struct Between {
  alignas(64) float src[kBetween];
  alignas(64) float d[kBetween];
  alignas(64) float room[kMostPixels * VecF::width];
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
  VectorPictures pictures(std::int64_t count, std::int64_t v, const float* src, const float* d, Ahead* ahead) const {
    return {count, g.h, g.w, g.out_h(), g.out_w(), src, d, taps_of(v), padded, ahead};
  }
  /// The pass of Windows::other from `src` to `dst`, both [pixel][VecF::width].
  Pass pass(bool is_backward, std::int64_t count, std::int64_t v, const float* src, float* dst) const {
    return {down_axis(g, is_backward),
            right_axis(g, is_backward),
            count,
            VecF::width,
            src,
            taps_of(v),
            nullptr,
            dst,
            VecF::width,
            VecF::width,
            padded};
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

/// Some pictures and vectors of channels, within one chunk of either side.
struct Block {
  std::int64_t n, count, v, v_end;
};

/// f(Block, the next one) for what `Between` holds at a time of a task, pictures in order; none is next to the last.
template <class F>
OCTET_SIMD void for_blocks_of(const Call& call, bool both_sides, Block task, F f) {
  const std::int64_t pixels = larger(call.src_pixels, call.dst_pixels), vectors = task.v_end - task.v;
  const std::int64_t wide = smaller(vectors, kBetween / (pixels * VecF::width));
  const std::int64_t most = larger(kUsual / (pixels * VecF::width * wide), 1);
  const auto pictures_from = [&](std::int64_t n) {
    std::int64_t count = smaller(smaller(most, task.n + task.count - n), call.dst_chunk - n % call.dst_chunk);
    return both_sides ? smaller(count, call.src_chunk - n % call.src_chunk) : count;
  };
  const auto block_at = [&](std::int64_t n, std::int64_t v) {
    return Block{n, pictures_from(n), v, smaller(v + wide, task.v_end)};
  };
  Block block = block_at(task.n, task.v);
  while (block.count > 0) {
    const bool same_pictures = block.v_end < task.v_end;
    const Block next = same_pictures ? block_at(block.n, block.v_end) : block_at(block.n + block.count, task.v);
    f(block, next);
    block = next;
  }
}

/// The pixels of a block of an array, where there is one.
inline void add_block(Ahead& ahead, const Call& call, const Block& block, const float* array, std::int64_t pixels) {
  if (array == nullptr) return;
  ahead.add(array + block.n * pixels * call.g.c + block.v * VecF::width, call.g.c, block.count * pixels);
}
inline std::int64_t floats_of_pixel(const Call& call, const Block& block) {
  return smaller(block.v_end * VecF::width, call.g.c) - block.v * VecF::width;
}
/// Work of the passes, in about cycles of a vector of a pixel, for Ahead.
constexpr std::int64_t kLoadWork = 4;

/// f(v, first pixel, last, Whole or Part) for a few of `pixels` at a time and every vector: near the order of memory.
/// `work` of a pixel: what Ahead shall count.
template <class F>
OCTET_SIMD void for_pixel_groups(const Call& call, const Block& block, std::int64_t pixels, std::int64_t work,
                                 Ahead* ahead, F f) {
  for (std::int64_t first = 0; first < pixels; first += kPixelGroup) {
    const std::int64_t last = smaller(first + kPixelGroup, pixels);
    for (std::int64_t v = block.v; v < block.v_end; ++v) {
      const int lanes = call.lanes(v);
      if (lanes == VecF::width)
        f(v, first, last, Whole{});
      else
        f(v, first, last, Part{lanes});
      ahead->step((last - first) * work);
    }
  }
}

/// The mapped source of a block.
template <bool Quantized>
[[gnu::noinline]] void load_mapped(const Call& call, const Block& block, Ahead* ahead, float* to) {
  const std::int64_t c = call.g.c, pixels = block.count * call.src_pixels;
  const float* src = call.io.src + block.n * call.src_pixels * c;
  const OnnxGrid grid(grid_of(call.p), call.io.step);
  for_pixel_groups(call, block, pixels, kLoadWork, ahead,
                   [&](std::int64_t v, std::int64_t first, std::int64_t last, auto part) {
                     const MapVector map(call.p, call.io, v * VecF::width, call.lanes(v));
                     const float* from = src + first * c + v * VecF::width;
                     float* x = to + ((v - block.v) * pixels + first) * VecF::width;
                     for (std::int64_t i = first; i < last; ++i, from += c, x += VecF::width) {
                       const VecF y = map.activated(load(from, part));
                       (Quantized ? grid.value(grid.code(y)) : y).store(x);
                     }
                   });
}
inline void load_mapped(const Call& call, const Block& block, Ahead* ahead, float* to) {
  if (call.p.quantized)
    load_mapped<true>(call, block, ahead, to);
  else
    load_mapped<false>(call, block, ahead, to);
}

/// Where forward's sums go: to dst, and into the statistics of a chunk.
struct Output {
  float* to;
  std::int64_t pitch;
  PairSums moments;
  VecF low, high;
  MaskF lost;
  OCTET_SIMD void operator()(VecF z) {
    z.store(to);
    to += pitch;
    moments.add(z, z);
    low = min(z, low);
    high = max(z, high);
    lost = lost | is_nan(z);
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

/// The sums of pictures under the taps, by whichever code their windows have. `room` is for Windows::other.
template <class Sink>
inline void forward_windows(const Call& call, std::int64_t count, std::int64_t v, const float* src, float* room,
                            Ahead* ahead, Sink& sink) {
  const VectorPictures pictures = call.pictures(count, v, src, nullptr, ahead);
  if (call.windows == Windows::same) return sum_windows<1>(pictures, sink);
  if (call.windows == Windows::halving) return sum_windows<2>(pictures, sink);
  if (call.windows == Windows::point) return sum_points(src, pictures, sink);
  const Pass pass = call.pass(false, count, v, src, room);
  for (std::int64_t row = 0; row < count * pass.down.out; ++row)
    sum_taps_of_row(pass, call.forward, row / pass.down.out, row % pass.down.out);
  for (std::int64_t i = 0; i < count * call.dst_pixels; ++i) sink(VecF::load(room + i * VecF::width));
}

/// Vector v of a block, statistics of its chunk.
inline void forward_vector(const Call& call, const Statistics& s, const Block& block, std::int64_t v, Between& b,
                           Ahead* ahead) {
  const std::int64_t chunk = block.n / call.dst_chunk, c = v * VecF::width, padded = call.padded;
  double* moments = s.moments + chunk * 2 * padded + c;
  float* extremes = s.extremes + chunk * 3 * padded + c;
  const std::int64_t pixels = block.count * call.dst_pixels;
  const int lanes = call.lanes(v);
  const bool whole = lanes == VecF::width;
  float* dst = call.io.dst + block.n * call.dst_pixels * call.g.c + c;
  Output output{whole ? dst : b.d,    whole ? call.g.c : VecF::width, PairSums::load(moments, moments + padded),
                VecF::load(extremes), VecF::load(extremes + padded),  VecF::load(extremes + 2 * padded) > VecF::zero()};
  forward_windows(call, block.count, v, b.src + (v - block.v) * block.count * call.src_pixels * VecF::width, b.room,
                  ahead, output);
  output.moments.store(moments, moments + padded);
  output.low.store(extremes);
  output.high.store(extremes + padded);
  select(output.lost, VecF::set1(1.0f), VecF::zero()).store(extremes + 2 * padded);
  if (whole) return;
  for (std::int64_t i = 0; i < pixels; ++i) VecF::load(b.d + i * VecF::width).store(dst + i * call.g.c, lanes);
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
    for_blocks_of(call, false, {first, last - first, v0, v1}, [&](const Block& block, const Block& next) {
      Ahead ahead(floats_of_pixel(call, block));
      add_block(ahead, call, block, io.dst, call.dst_pixels);
      add_block(ahead, call, next, io.src, call.src_pixels);
      ahead.start(block.count * (block.v_end - block.v) *
                  (call.src_pixels * kLoadWork + call.dst_pixels * kWindowWork));
      load_mapped(call, block, &ahead, between.src);
      for (std::int64_t v = block.v; v < block.v_end; ++v) {
        if (block.n % call.dst_chunk == 0) start_statistics(call, s, block.n / call.dst_chunk, v);
        forward_vector(call, s, block, v, between, &ahead);
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
template <bool Late>
[[gnu::noinline]] void load_gradient(const Call& call, const Block& block, Ahead* ahead, float* to) {
  const std::int64_t c = call.g.c, at = block.n * call.dst_pixels * c, pixels = block.count * call.dst_pixels;
  for_pixel_groups(call, block, pixels, kLoadWork, ahead,
                   [&](std::int64_t v, std::int64_t first, std::int64_t last, auto part) {
                     const std::int64_t from = at + first * c + v * VecF::width;
                     const float *d = call.io.d_dst + from, *z = Late ? call.io.z_dst + from : d;
                     const VecF slope = Late ? load(call.io.slope + v * VecF::width, part) : VecF::zero();
                     const VecF offset = Late ? load(call.io.offset + v * VecF::width, part) : VecF::zero();
                     float* sum = to + ((v - block.v) * pixels + first) * VecF::width;
                     for (std::int64_t i = first; i < last; ++i, d += c, z += c, sum += VecF::width)
                       (Late ? load(d, part) + fma(load(z, part), slope, offset) : load(d, part)).store(sum);
                   });
}

/// Where backward's go: through the gate to d_src, and into Σ g and Σ g · src of a chunk.
template <bool Open>
struct GatedOutput {
  const float* src;
  float* d_src;
  std::int64_t pitch;
  VecF scale, shift, least, most;
  PairSums sums;
  OCTET_SIMD void operator()(VecF d) { add(d, Whole{}); }
  template <class Lanes>
  OCTET_SIMD void add(VecF d, Lanes part) {
    const VecF x = load(src, part), t = fma(x, scale, shift);
    const VecF g = Open ? d : select((t >= least) & (t <= most), d, VecF::zero());
    store(g * scale, d_src, part);
    sums.add(g, x);
    src += pitch, d_src += pitch;
  }
};
/// Where they go on the way there: of the last, partial vector of channels, and of windows whose pixels come in any
/// order.
struct Keep {
  float* to;
  OCTET_SIMD void operator()(VecF d) {
    d.store(to);
    to += VecF::width;
  }
};

/// The sums of a backward call: per chunk of dst Σ d · src under each tap [kTaps][padded], per chunk of src Σ g and
/// Σ g · src [2][padded].
struct GradientSums {
  float* products;
  double* map;
};

inline void add_weight_products(const Call& call, std::int64_t count, std::int64_t v, const float* src, float* d,
                                Ahead* ahead, float* products) {
  const VectorPictures pictures = call.pictures(count, v, src, d, ahead);
  VecF sums[2][kTaps];
  if (call.windows == Windows::point) {
    float* sum = products + call.point_tap(kSide) * call.padded;
    add_point_products(pictures, VecF::load(sum)).store(sum);
    return;
  }
  for (int t = 0; t < kTaps; ++t) sums[0][t] = VecF::load(products + t * call.padded);
  if (call.windows == Windows::same) {
    add_products<1>(pictures, sums[0]);
  } else if (call.windows == Windows::halving) {
    add_products<2>(pictures, sums[0]);
  } else {
    const Pass pass = call.pass(false, count, v, src, d);  // d is only read
    sum_products_of_pixels(pass, call.forward, {0, count * call.dst_pixels, 0, VecF::width, nullptr}, sums);
  }
  for (int t = 0; t < kTaps; ++t) sums[0][t].store(products + t * call.padded);
}

/// The gradient of the mapped source; not for Windows::other.
template <class Sink>
inline void backward_windows(const Call& call, std::int64_t count, std::int64_t v, const float* d, Ahead* ahead,
                             Sink& sink) {
  const VectorPictures pictures = call.pictures(count, v, nullptr, d, ahead);
  if (call.windows == Windows::same) return sum_mirrored(pictures, sink);
  if (call.windows == Windows::halving) return sum_halved(pictures, sink);
  sum_points(d, pictures, sink);
}

/// d_src of vector v of a block, and Σ g, Σ g · src in `map`, [2][padded].
template <bool Open>
void backward_vector(const Call& call, const Gate& gate, const Block& block, std::int64_t v, const float* d,
                     float* room, Ahead* ahead, double* map) {
  const std::int64_t c = v * VecF::width, at = block.n * call.src_pixels * call.g.c + c;
  const int lanes = call.lanes(v);
  const MapVector of(call.p, call.io, c, lanes);
  GatedOutput<Open> output{call.io.src + at,
                           call.io.d_src + at,
                           call.g.c,
                           of.scale,
                           of.shift,
                           VecF::set1(gate.least),
                           VecF::set1(gate.most),
                           PairSums::load(map + c, map + call.padded + c)};
  if (call.windows != Windows::other && lanes == VecF::width) {
    backward_windows(call, block.count, v, d, ahead, output);
  } else {
    Keep keep{room};
    const Pass pass = call.pass(true, block.count, v, d, room);
    if (call.windows != Windows::other) backward_windows(call, block.count, v, d, ahead, keep);
    for (std::int64_t row = 0; call.windows == Windows::other && row < block.count * pass.down.out; ++row)
      sum_taps_of_row(pass, call.backward, row / pass.down.out, row % pass.down.out);
    for (std::int64_t i = 0; i < block.count * call.src_pixels; ++i)
      output.add(VecF::load(room + i * VecF::width), Part{lanes});
  }
  output.sums.store(map + c, map + call.padded + c);
}

inline void backward_block(const Call& call, const Gate& gate, const GradientSums& s, const Block& block,
                           const Block& next, Between& b) {
  const std::int64_t padded = call.padded;
  float* products = s.products + block.n / call.dst_chunk * kTaps * padded;
  double* map = s.map + block.n / call.src_chunk * 2 * padded;
  Ahead ahead(floats_of_pixel(call, block));
  add_block(ahead, call, block, call.io.d_src, call.src_pixels);
  add_block(ahead, call, next, call.io.d_dst, call.dst_pixels);
  add_block(ahead, call, next, call.io.slope != nullptr ? call.io.z_dst : nullptr, call.dst_pixels);
  add_block(ahead, call, next, call.io.src, call.src_pixels);
  ahead.start(block.count * (block.v_end - block.v) *
              (call.src_pixels * kLoadWork + call.dst_pixels * (kLoadWork + 2 * kWindowWork)));
  if (call.io.slope != nullptr)
    load_gradient<true>(call, block, &ahead, b.d);
  else
    load_gradient<false>(call, block, &ahead, b.d);
  if (call.io.d_weight != nullptr) load_mapped(call, block, &ahead, b.src);
  for (std::int64_t v = block.v; v < block.v_end; ++v) {
    const std::int64_t c = v * VecF::width, pixels = (v - block.v) * block.count * VecF::width;
    float *src = b.src + pixels * call.src_pixels, *d = b.d + pixels * call.dst_pixels;
    if (block.n % call.dst_chunk == 0)
      for (int t = 0; t < kTaps; ++t) VecF::zero().store(products + t * padded + c);
    if (block.n % call.src_chunk == 0)
      for (int i = 0; i < VecF::width; ++i) map[c + i] = map[padded + c + i] = 0;
    if (call.io.d_weight != nullptr) add_weight_products(call, block.count, v, src, d, &ahead, products + c);
    if (call.io.d_src == nullptr) continue;
    if (gate.open)
      backward_vector<true>(call, gate, block, v, d, b.room, &ahead, map);
    else
      backward_vector<false>(call, gate, block, v, d, b.room, &ahead, map);
  }
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
    for_blocks_of(call, true, {first, last - first, v0, v1},
                  [&](const Block& block, const Block& next) { backward_block(call, gate, s, block, next, between); });
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
