// Runs of output pixels that read the same taps of a depthwise window, and the code that sums them: a run does not
// branch, an interior is one run of 3x3 taps, an edge one of 3x2. Included after a simd header.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/allocator.h"
#include "kernels/gemm/extents.h"

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

/// An activation as the bounds of its values; NaN passes, as in activation.h.
struct Clamp {
  float lo, hi;
};
OCTET_SIMD VecF clamped(VecF t, const Clamp& to) { return min(VecF::set1(to.hi), max(VecF::set1(to.lo), t)); }

/// A run of pixels with all their channels, at least a vector of them. Strides count floats.
struct PixelRun {
  const float* row[kSide];  ///< source rows of the taps
  std::int64_t col[kSide];  ///< offset of the first pixel's columns
  std::int64_t src_step;
  float* dst;
  std::int64_t dst_step;
  std::int64_t count, channels;
  const float* weight;  ///< tap (r, s) at r · weight_row + s · weight_col
  std::int64_t weight_row, weight_col;
  const float* bias;   ///< or null
  const Clamp* clamp;  ///< or null
};

/// Is tap t of the kSide · kSide grid among those of the masks?
constexpr bool reads_tap(int row_mask, int col_mask, int t) {
  return (row_mask >> (t / kSide) & 1) != 0 && (col_mask >> (t % kSide) & 1) != 0;
}
/// Where vector v of the channels starts: the last one early enough to end with them, so that some are computed twice.
inline std::int64_t vector_start(std::int64_t v, std::int64_t channels) {
  return smaller(v * VecF::width, channels - VecF::width);
}

// Both copy what their loops need: a vector store may alias anything, and would have it loaded anew for every pixel.

template <int RowMask, int ColMask>
void sum_taps(const PixelRun& run) {
  const PixelRun m = run;
  for (std::int64_t v = 0; v * VecF::width < m.channels; ++v) {
    const std::int64_t c = vector_start(v, m.channels);
    VecF w[kSide * kSide];
    OCTET_UNROLL
    for (int t = 0; t < kSide * kSide; ++t)
      if (reads_tap(RowMask, ColMask, t))
        w[t] = VecF::load(m.weight + (t / kSide) * m.weight_row + (t % kSide) * m.weight_col + c);
    const bool biased = m.bias != nullptr, bounded = m.clamp != nullptr;
    const Clamp bounds = bounded ? *m.clamp : Clamp{};
    const VecF bias = biased ? VecF::load(m.bias + c) : VecF::zero();
    const float* row[kSide] = {m.row[0] + c, m.row[1] + c, m.row[2] + c};
    float* dst = m.dst + c;
    for (std::int64_t i = 0; i < m.count; ++i) {
      VecF sum = VecF::zero();
      OCTET_UNROLL
      for (int t = 0; t < kSide * kSide; ++t)
        if (reads_tap(RowMask, ColMask, t)) sum = fma(VecF::load(row[t / kSide] + m.col[t % kSide]), w[t], sum);
      if (biased) sum = sum + bias;
      (bounded ? clamped(sum, bounds) : sum).store(dst);
      dst += m.dst_step;
      OCTET_UNROLL
      for (int r = 0; r < kSide; ++r) row[r] += m.src_step;
    }
  }
}

/// sums[v][tap] += d · src over a run of pixels in order, for vector v of the channels; `dst` holds d.
template <int RowMask, int ColMask>
void sum_products(const PixelRun& run, VecF (*sums)[kSide * kSide]) {
  const PixelRun m = run;
  for (std::int64_t v = 0; v * VecF::width < m.channels; ++v) {
    const std::int64_t c = vector_start(v, m.channels);
    VecF sum[kSide * kSide];
    OCTET_UNROLL
    for (int t = 0; t < kSide * kSide; ++t)
      if (reads_tap(RowMask, ColMask, t)) sum[t] = sums[v][t];
    const float* row[kSide] = {m.row[0] + c, m.row[1] + c, m.row[2] + c};
    const float* d = m.dst + c;
    for (std::int64_t i = 0; i < m.count; ++i, d += m.dst_step) {
      const VecF di = VecF::load(d);
      OCTET_UNROLL
      for (int t = 0; t < kSide * kSide; ++t)
        if (reads_tap(RowMask, ColMask, t)) sum[t] = fma(di, VecF::load(row[t / kSide] + m.col[t % kSide]), sum[t]);
      OCTET_UNROLL
      for (int r = 0; r < kSide; ++r) row[r] += m.src_step;
    }
    OCTET_UNROLL
    for (int t = 0; t < kSide * kSide; ++t)
      if (reads_tap(RowMask, ColMask, t)) sums[v][t] = sum[t];
  }
}

using SumTaps = void (*)(const PixelRun&);
using SumProducts = void (*)(const PixelRun&, VecF (*)[kSide * kSide]);
#define OCTET_BY_COLUMNS(f, r) \
  { f<r, 0>, f<r, 1>, f<r, 2>, f<r, 3>, f<r, 4>, f<r, 5>, f<r, 6>, f<r, 7> }
#define OCTET_BY_MASKS(f)                                                                              \
  {                                                                                                    \
    OCTET_BY_COLUMNS(f, 0), OCTET_BY_COLUMNS(f, 1), OCTET_BY_COLUMNS(f, 2), OCTET_BY_COLUMNS(f, 3),    \
        OCTET_BY_COLUMNS(f, 4), OCTET_BY_COLUMNS(f, 5), OCTET_BY_COLUMNS(f, 6), OCTET_BY_COLUMNS(f, 7) \
  }
constexpr SumTaps kSumTaps[8][8] = OCTET_BY_MASKS(sum_taps);
constexpr SumProducts kSumProducts[8][8] = OCTET_BY_MASKS(sum_products);
#undef OCTET_BY_MASKS
#undef OCTET_BY_COLUMNS

}  // namespace
}  // namespace octet::kernels
