// dwconv2d on vectors of channels. Every output pixel reads some taps of its window; pixels that read the same taps form
// runs, so that inside a run nothing branches: an interior is one run of 3x3 taps, an edge one of 3x2. Forward and
// backward-data differ only in which source pixel a tap reads. Included after a simd header.
#pragma once
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/gemm/column_sums.inl"
#include "kernels/gemm/extents.h"
#include "kernels/gemm/transpose.inl"

namespace octet::kernels {
namespace {

/// Windows up to 3x3 have code of their own, with taps as bits of a mask of rows and a mask of columns.
constexpr int kSide = 3;

/// One axis of a pass: which source coordinate output coordinate x reads through tap t. forward: x·stride − pad + t;
/// backward-data: (x + pad − t) / stride, where that is whole.
struct Axis {
  std::int64_t out, in, taps, stride, pad;
  bool backward;
  /// Source coordinate, or -1.
  std::int64_t reads(std::int64_t x, std::int64_t tap) const {
    if (!backward) {
      const std::int64_t at = x * stride - pad + tap;
      return at >= 0 && at < in ? at : -1;
    }
    const std::int64_t at = x + pad - tap;
    return at >= 0 && at % stride == 0 && at / stride < in ? at / stride : -1;
  }
  int mask(std::int64_t x) const {
    int bits = 0;
    for (int t = 0; t < taps && t < kSide; ++t) bits |= (reads(x, t) >= 0) << t;
    return bits;
  }
  std::int64_t step() const { return backward ? stride : 1; }      ///< between outputs of one run
  std::int64_t src_step() const { return backward ? 1 : stride; }  ///< between what they read
};

/// Outputs first, first + step, … that read the same taps; source coordinates are those of `first`.
struct Run {
  int mask;
  std::int64_t first, count;
  std::int64_t reads[kSide];
};

/// The runs of an axis, in the order of coordinates when its step is 1; at most axis.out of them.
struct Runs {
  Run* runs;
  std::int64_t count;
};
inline std::size_t run_bytes(const Axis& axis) { return static_cast<std::size_t>(larger(axis.out, 1)) * sizeof(Run); }
/// Given back by scratch_release(runs, run_bytes(axis)): a destructor would leave weak symbols in ISA files.
inline Runs find_runs(const Axis& axis) {
  auto* runs = static_cast<Run*>(scratch_acquire(run_bytes(axis)));
  std::int64_t count = 0;
  for (std::int64_t phase = 0; phase < axis.step(); ++phase)
    for (std::int64_t x = phase; x < axis.out; x += axis.step()) {
      const int mask = axis.mask(x);
      if (x != phase && runs[count - 1].mask == mask) {
        ++runs[count - 1].count;
        continue;
      }
      Run& run = runs[count++];
      run = {mask, x, 1, {}};
      for (int t = 0; t < axis.taps && t < kSide; ++t) run.reads[t] = axis.reads(x, t);
    }
  return {runs, count};
}

/// A run of pixels for one vector of channels, in every picture of a group. Strides count floats.
struct PixelRun {
  const float* row[kSide];  ///< source rows of the taps
  std::int64_t col[kSide];  ///< offset of the first pixel's columns
  std::int64_t src_step, src_picture;
  float* dst;
  std::int64_t dst_step, dst_picture;
  std::int64_t count, pictures;
  const VecF* weight;  ///< kSide · kSide taps
  const float* bias;   ///< or null
};

/// Is tap t of the kSide · kSide grid among those of the masks?
constexpr bool reads_tap(int row_mask, int col_mask, int t) {
  return (row_mask >> (t / kSide) & 1) != 0 && (col_mask >> (t % kSide) & 1) != 0;
}

// Both copy what their loops need: a vector store may alias anything, and would have it loaded anew for every pixel.

template <int RowMask, int ColMask>
void sum_taps(const PixelRun& m) {
  VecF w[kSide * kSide];
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t) w[t] = m.weight[t];
  const bool biased = m.bias != nullptr;
  const VecF bias = biased ? VecF::load(m.bias) : VecF::zero();
  const std::int64_t col[kSide] = {m.col[0], m.col[1], m.col[2]};
  const std::int64_t src_step = m.src_step, dst_step = m.dst_step, count = m.count;
  const std::int64_t pictures = m.pictures, src_picture = m.src_picture, dst_picture = m.dst_picture;
  const float* picture[kSide] = {m.row[0], m.row[1], m.row[2]};
  float* dst_begin = m.dst;
  for (std::int64_t n = 0; n < pictures; ++n) {
    const float* row[kSide] = {picture[0], picture[1], picture[2]};
    float* dst = dst_begin;
    for (std::int64_t i = 0; i < count; ++i) {
      VecF sum = VecF::zero();
      OCTET_UNROLL
      for (int t = 0; t < kSide * kSide; ++t)
        if (reads_tap(RowMask, ColMask, t)) sum = fma(VecF::load(row[t / kSide] + col[t % kSide]), w[t], sum);
      (biased ? sum + bias : sum).store(dst);
      dst += dst_step;
      OCTET_UNROLL
      for (int r = 0; r < kSide; ++r) row[r] += src_step;
    }
    OCTET_UNROLL
    for (int r = 0; r < kSide; ++r) picture[r] += src_picture;
    dst_begin += dst_picture;
  }
}

/// sums[tap] += d · src over a run of pixels in order; `dst` holds d.
template <int RowMask, int ColMask>
void sum_products(const PixelRun& m, VecF* sums) {
  VecF sum[kSide * kSide];
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t)
    if (reads_tap(RowMask, ColMask, t)) sum[t] = sums[t];
  const std::int64_t col[kSide] = {m.col[0], m.col[1], m.col[2]};
  const std::int64_t src_step = m.src_step, d_step = m.dst_step, count = m.count;
  const float* row[kSide] = {m.row[0], m.row[1], m.row[2]};
  const float* d = m.dst;
  for (std::int64_t i = 0; i < count; ++i, d += d_step) {
    const VecF di = VecF::load(d);
    OCTET_UNROLL
    for (int t = 0; t < kSide * kSide; ++t)
      if (reads_tap(RowMask, ColMask, t)) sum[t] = fma(di, VecF::load(row[t / kSide] + col[t % kSide]), sum[t]);
    OCTET_UNROLL
    for (int r = 0; r < kSide; ++r) row[r] += src_step;
  }
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t)
    if (reads_tap(RowMask, ColMask, t)) sums[t] = sum[t];
}

using SumTaps = void (*)(const PixelRun&);
using SumProducts = void (*)(const PixelRun&, VecF*);
#define OCTET_BY_COLUMNS(f, r) {f<r, 0>, f<r, 1>, f<r, 2>, f<r, 3>, f<r, 4>, f<r, 5>, f<r, 6>, f<r, 7>}
#define OCTET_BY_MASKS(f)                                                                                           \
  {OCTET_BY_COLUMNS(f, 0), OCTET_BY_COLUMNS(f, 1), OCTET_BY_COLUMNS(f, 2), OCTET_BY_COLUMNS(f, 3),                  \
   OCTET_BY_COLUMNS(f, 4), OCTET_BY_COLUMNS(f, 5), OCTET_BY_COLUMNS(f, 6), OCTET_BY_COLUMNS(f, 7)}
constexpr SumTaps kSumTaps[8][8] = OCTET_BY_MASKS(sum_taps);
constexpr SumProducts kSumProducts[8][8] = OCTET_BY_MASKS(sum_products);
#undef OCTET_BY_MASKS
#undef OCTET_BY_COLUMNS

/// A pass over pictures: dst[n, y, x, c] from src[n, …, c] through the taps of two axes. weight is packed [r·s][c].
struct Pass {
  Axis down, right;
  std::int64_t n, c;
  const float* src;
  const float* weight;
  const float* bias;
  float* dst;
};

/// Channels are taken a vector at a time; the last vector starts early enough to end with the channels, and computes
/// some of them twice. Below a vector, and for wider windows, the general code with partial loads runs.
inline bool has_own_code(const ConvGeometry& g) { return g.r <= kSide && g.s <= kSide && g.c >= VecF::width; }

/// Weight taps of VecF::width channels from c on the kSide · kSide grid; zero beyond the window.
inline void load_taps(const Pass& pass, std::int64_t c, VecF* weight) {
  for (int r = 0; r < kSide; ++r)
    for (int s = 0; s < kSide; ++s) {
      const bool inside = r < pass.down.taps && s < pass.right.taps;
      weight[r * kSide + s] = inside ? VecF::load(pass.weight + (r * pass.right.taps + s) * pass.c + c) : VecF::zero();
    }
}

/// Points m's rows at what output row y of picture n reads, for channels from c; returns the mask of rows.
inline int point_rows(const Pass& pass, std::int64_t n, std::int64_t y, std::int64_t c, PixelRun& m) {
  int mask = 0;
  for (int r = 0; r < kSide; ++r) {
    const std::int64_t at = r < pass.down.taps ? pass.down.reads(y, r) : -1;
    mask |= (at >= 0) << r;
    m.row[r] = pass.src + (n * pass.down.in + larger(at, 0)) * pass.right.in * pass.c + c;
  }
  return mask;
}

/// Points m at the part of `run` that starts `skip` outputs in and has `count` of them.
inline void point_columns(const Pass& pass, const Run& run, std::int64_t skip, std::int64_t count, PixelRun& m) {
  for (int s = 0; s < kSide; ++s)
    m.col[s] = (larger(run.reads[s], 0) + skip * pass.right.src_step()) * pass.c;
  m.count = count;
}

/// Pictures [n, n + pictures), output rows [first, last), channels from c: one vector of them.
inline void sum_taps_of_rows(const Pass& pass, const Runs& runs, std::int64_t n, std::int64_t pictures,
                             std::int64_t first, std::int64_t last, std::int64_t c) {
  VecF weight[kSide * kSide];
  load_taps(pass, c, weight);
  PixelRun m;
  m.weight = weight;
  m.bias = pass.bias != nullptr ? pass.bias + c : nullptr;
  m.pictures = pictures;
  m.src_step = pass.right.src_step() * pass.c;
  m.dst_step = pass.right.step() * pass.c;
  m.src_picture = pass.down.in * pass.right.in * pass.c;
  m.dst_picture = pass.down.out * pass.right.out * pass.c;
  for (std::int64_t y = first; y < last; ++y) {
    const int rows = point_rows(pass, n, y, c, m);
    for (std::int64_t i = 0; i < runs.count; ++i) {
      const Run& run = runs.runs[i];
      point_columns(pass, run, 0, run.count, m);
      m.dst = pass.dst + ((n * pass.down.out + y) * pass.right.out + run.first) * pass.c + c;
      kSumTaps[rows][run.mask](m);
    }
  }
}

/// One output pixel, any window, any number of channels.
inline void sum_taps_of_pixel(const Pass& pass, std::int64_t n, std::int64_t y, std::int64_t x) {
  constexpr int W = VecF::width;
  float* dst = pass.dst + ((n * pass.down.out + y) * pass.right.out + x) * pass.c;
  for (std::int64_t c = 0; c < pass.c; c += W) {
    const int lanes = static_cast<int>(smaller(pass.c - c, W));
    VecF sum = VecF::zero();
    for (std::int64_t r = 0; r < pass.down.taps; ++r) {
      const std::int64_t row = pass.down.reads(y, r);
      if (row < 0) continue;
      for (std::int64_t s = 0; s < pass.right.taps; ++s) {
        const std::int64_t col = pass.right.reads(x, s);
        if (col < 0) continue;
        const float* from = pass.src + ((n * pass.down.in + row) * pass.right.in + col) * pass.c + c;
        sum = fma(VecF::load(from, lanes), VecF::load(pass.weight + (r * pass.right.taps + s) * pass.c + c, lanes), sum);
      }
    }
    if (pass.bias != nullptr) sum = sum + VecF::load(pass.bias + c, lanes);
    sum.store(dst + c, lanes);
  }
}

/// Work of one task: whole pictures while they are small, else rows of one; about what the first levels of cache hold.
struct Share {
  std::int64_t pictures, rows;
};
inline Share share_of(const Pass& pass) {
  constexpr std::int64_t kFloats = 16 << 10;
  const std::int64_t picture = (pass.down.in * pass.right.in + pass.down.out * pass.right.out) * pass.c;
  if (picture <= kFloats) return {kFloats / larger(picture, 1), pass.down.out};
  return {1, larger(kFloats * pass.down.out / picture, 1)};
}

/// Asks for the source of a task in the order of memory: a vector of channels at a time strides through it, which the
/// processor's own prefetching does not follow.
inline void prefetch_share(const Pass& pass, std::int64_t n, std::int64_t pictures, std::int64_t first, std::int64_t last) {
  const std::int64_t row = pass.right.in * pass.c, top = first * pass.down.in / pass.down.out;
  const std::int64_t rows = pictures > 1 ? pictures * pass.down.in : last * pass.down.in / pass.down.out - top;
  const float* begin = pass.src + n * pass.down.in * row + (pictures > 1 ? 0 : top * row);
  for (std::int64_t i = 0; i < rows * row; i += 16) __builtin_prefetch(begin + i);
}

inline void run_pass(const Pass& pass, bool own_code) {
  constexpr int W = VecF::width;
  const Share share = share_of(pass);
  const std::int64_t bands = ceil_div(pass.down.out, share.rows);
  const Runs runs = find_runs(pass.right);
  parallel_for(ceil_div(pass.n, share.pictures) * bands, [&](std::int64_t task) {
    const std::int64_t n = task / bands * share.pictures, pictures = smaller(pass.n - n, share.pictures);
    const std::int64_t first = task % bands * share.rows, last = smaller(first + share.rows, pass.down.out);
    if (own_code) {
      prefetch_share(pass, n, pictures, first, last);
      for (std::int64_t c = 0; c < pass.c; c += W)
        sum_taps_of_rows(pass, runs, n, pictures, first, last, smaller(c, pass.c - W));
      return;
    }
    for (std::int64_t i = n; i < n + pictures; ++i)
      for (std::int64_t y = first; y < last; ++y)
        for (std::int64_t x = 0; x < pass.right.out; ++x) sum_taps_of_pixel(pass, i, y, x);
  });
  scratch_release(runs.runs, run_bytes(pass.right));
}

/// The weight as [r·s][c], so that a vector holds neighbouring channels of one tap; given back like any scratch.
inline std::size_t tap_bytes(const ConvGeometry& g) { return static_cast<std::size_t>(g.r * g.s * g.c) * sizeof(float); }
inline float* pack_taps(const ConvGeometry& g, const void* weight) {
  auto* taps = static_cast<float*>(scratch_acquire(tap_bytes(g)));
  transpose_matrix(static_cast<const float*>(weight), g.c, g.r * g.s, g.r * g.s, taps, g.c);
  return taps;
}

inline Axis down_axis(const ConvGeometry& g, bool backward) {
  const std::int64_t out = g.out_h();
  return {backward ? g.h : out, backward ? out : g.h, g.r, g.stride_h, g.pad_h, backward};
}
inline Axis right_axis(const ConvGeometry& g, bool backward) {
  const std::int64_t out = g.out_w();
  return {backward ? g.w : out, backward ? out : g.w, g.s, g.stride_w, g.pad_w, backward};
}

inline void dwconv2d_forward(const ConvGeometry& g, const DwConv2dPointers& io) {
  float* taps = pack_taps(g, io.weight);
  run_pass({down_axis(g, false), right_axis(g, false), g.n, g.c, static_cast<const float*>(io.src), taps,
            static_cast<const float*>(io.bias), static_cast<float*>(io.dst)},
           has_own_code(g));
  scratch_release(taps, tap_bytes(g));
}

inline void dwconv2d_backward_data(const ConvGeometry& g, const DwConv2dPointers& io) {
  float* taps = pack_taps(g, io.weight);
  run_pass({down_axis(g, true), right_axis(g, true), g.n, g.c, static_cast<const float*>(io.d_dst), taps, nullptr,
            static_cast<float*>(io.d_src)},
           has_own_code(g));
  scratch_release(taps, tap_bytes(g));
}

/// Vectors of channels whose sums a task of the weight gradient keeps.
constexpr int kSumVecs = 8;
constexpr int kSumChannels = kSumVecs * VecF::width;

/// sums of one vector of channels from c over output pixels [first, end), in order.
inline void sum_products_of_pixels(const Pass& pass, const Runs& runs, std::int64_t first, std::int64_t end,
                                   std::int64_t c, VecF* sums) {
  PixelRun m;
  m.src_step = pass.right.src_step() * pass.c;
  m.dst_step = pass.c;
  const std::int64_t wide = pass.right.out;
  std::int64_t q = first % wide, p = first / wide % pass.down.out, n = first / wide / pass.down.out;
  for (std::int64_t pixel = first; pixel < end; q = 0) {
    const std::int64_t stop = smaller(wide, q + end - pixel);
    const int rows = point_rows(pass, n, p, c, m);
    for (std::int64_t i = 0; i < runs.count; ++i) {
      const Run& run = runs.runs[i];
      const std::int64_t from = larger(run.first, q), to = smaller(run.first + run.count, stop);
      if (from >= to) continue;
      point_columns(pass, run, from - run.first, to - from, m);
      m.dst = pass.dst + (pixel + from - q) * pass.c + c;
      kSumProducts[rows][run.mask](m, sums);
    }
    pixel += stop - q;
    if (++p < pass.down.out) continue;
    p = 0;
    ++n;
  }
}

/// Asks for what output pixels [first, end) multiply: d_dst, and about the part of src that lies under them.
inline void prefetch_pixels(const Pass& pass, std::int64_t first, std::int64_t end, std::int64_t c) {
  const std::int64_t channels = smaller(pass.c - c, kSumChannels);
  const std::int64_t map = pass.down.out * pass.right.out, src_map = pass.down.in * pass.right.in;
  const std::int64_t src_first = first * src_map / map, src_end = smaller(end * src_map / map, pass.n * src_map);
  prefetch_rows(pass.dst + first * pass.c + c, pass.c, end - first, channels);
  prefetch_rows(pass.src + src_first * pass.c + c, pass.c, src_end - src_first, channels);
}

/// out[tap][channel] for kSumChannels channels from c over output pixels [first, end); own code.
inline void sum_chunk(const Pass& pass, const Runs& runs, std::int64_t first, std::int64_t end, std::int64_t c,
                      float* out) {
  constexpr int W = VecF::width;
  constexpr std::int64_t kPixels = 128;  // of src and d_dst together about 128 KiB at this many channels
  VecF sums[kSumVecs][kSide * kSide];
  for (auto& tap_sums : sums)
    for (VecF& sum : tap_sums) sum = VecF::zero();
  const int vecs = static_cast<int>(smaller(ceil_div(pass.c - c, W), kSumVecs));
  for (std::int64_t pixel = first; pixel < end; pixel += kPixels) {
    prefetch_pixels(pass, smaller(pixel + kPixels, end), smaller(pixel + 2 * kPixels, end), c);
    for (int v = 0; v < vecs; ++v)
      sum_products_of_pixels(pass, runs, pixel, smaller(pixel + kPixels, end), smaller(c + v * W, pass.c - W), sums[v]);
  }
  for (int v = 0; v < vecs; ++v)
    for (std::int64_t r = 0; r < pass.down.taps; ++r)
      for (std::int64_t s = 0; s < pass.right.taps; ++s)
        sums[v][r * kSide + s].store(out + (r * pass.right.taps + s) * pass.c + smaller(c + v * W, pass.c - W));
}

/// The same for any window and any number of channels.
inline void sum_chunk_general(const Pass& pass, std::int64_t first, std::int64_t end, std::int64_t c, float* out) {
  constexpr int W = VecF::width;
  const std::int64_t wide = pass.right.out, last = smaller(c + kSumChannels, pass.c);
  for (std::int64_t tap = 0; tap < pass.down.taps * pass.right.taps; ++tap)
    for (std::int64_t i = c; i < last; i += W) {
      const int lanes = static_cast<int>(smaller(last - i, W));
      VecF sum = VecF::zero();
      for (std::int64_t pixel = first; pixel < end; ++pixel) {
        const std::int64_t n = pixel / wide / pass.down.out;
        const std::int64_t row = pass.down.reads(pixel / wide % pass.down.out, tap / pass.right.taps);
        const std::int64_t col = pass.right.reads(pixel % wide, tap % pass.right.taps);
        if (row < 0 || col < 0) continue;
        const float* src = pass.src + ((n * pass.down.in + row) * pass.right.in + col) * pass.c + i;
        sum = fma(VecF::load(pass.dst + pixel * pass.c + i, lanes), VecF::load(src, lanes), sum);
      }
      sum.store(out + tap * pass.c + i, lanes);
    }
}

inline void dwconv2d_backward_weight(const ConvGeometry& g, const DwConv2dPointers& io) {
  // `dst` of a pass is only read here.
  const Pass pass{down_axis(g, false), right_axis(g, false), g.n, g.c, static_cast<const float*>(io.src), nullptr, nullptr,
                  const_cast<float*>(static_cast<const float*>(io.d_dst))};
  const std::int64_t pixels = g.out_pixels(), chunk = reduction_chunk(pixels), chunks = larger(ceil_div(pixels, chunk), 1);
  const std::int64_t count = g.r * g.s * g.c, blocks = ceil_div(g.c, kSumChannels);
  const std::size_t bytes = static_cast<std::size_t>(chunks * count) * sizeof(float);
  auto* parts = static_cast<float*>(scratch_acquire(bytes));
  const Runs runs = find_runs(pass.right);
  const bool own_code = has_own_code(g);
  parallel_for(chunks * blocks, [&](std::int64_t task) {
    const std::int64_t part = task / blocks, c = task % blocks * kSumChannels, first = part * chunk;
    const std::int64_t end = smaller(first + chunk, pixels);
    if (own_code)
      sum_chunk(pass, runs, first, end, c, parts + part * count);
    else
      sum_chunk_general(pass, first, end, c, parts + part * count);
  });
  add_parts(parts + count, chunks - 1, count, parts);
  transpose_matrix(parts, g.r * g.s, g.c, g.c, static_cast<float*>(io.d_weight), g.r * g.s);
  scratch_release(parts, bytes);
  scratch_release(runs.runs, run_bytes(pass.right));
  if (io.d_bias != nullptr) column_sums(pass.dst, pixels, g.c, static_cast<float*>(io.d_bias));
}

}  // namespace

#define OCTET_VECTOR_ROW(pass, impl, run)                                             \
  const char* pass##_f32_##impl##_why_not(const DwConv2dProblem&) { return nullptr; } \
  void pass##_f32_##impl(const DwConv2dProblem& g, const DwConv2dPointers& io, const Context&) { run(g, io); }
#define OCTET_DWCONV2D_ROWS(impl)                                         \
  OCTET_VECTOR_ROW(dwconv2d_fwd, impl, dwconv2d_forward)                  \
  OCTET_VECTOR_ROW(dwconv2d_bwd_data, impl, dwconv2d_backward_data)       \
  OCTET_VECTOR_ROW(dwconv2d_bwd_weight, impl, dwconv2d_backward_weight)

}  // namespace octet::kernels
