// Passes of a depthwise window over pictures, row by row in runs of pixels (pixel_run.inl): forward and backward-data
// are one pass that differs in which source pixel a tap reads, the weight gradient walks the same runs.
#pragma once
#include "kernels/blocks.h"
#include "kernels/dwconv2d/pixel_run.inl"
#include "kernels/problem.h"

namespace octet::kernels {
namespace {

inline Axis down_axis(const ConvGeometry& g, bool backward) {
  const std::int64_t out = g.out_h();
  return {backward ? g.h : out, backward ? out : g.h, g.r, g.stride_h, g.pad_h, backward};
}
inline Axis right_axis(const ConvGeometry& g, bool backward) {
  const std::int64_t out = g.out_w();
  return {backward ? g.w : out, backward ? out : g.w, g.s, g.stride_w, g.pad_w, backward};
}

/// A pass over pictures: dst[n, y, x, c] from src[n, …, c] through the taps of two axes. weight is packed [r·s][c].
struct Pass {
  Axis down, right;
  std::int64_t n, c;
  const float* src;
  const float* weight;
  const float* bias;
  float* dst;
  /// Floats from a pixel to the next, and from a tap to the next.
  std::int64_t src_pitch = c, dst_pitch = c, weight_pitch = c;
  const Clamp* clamp = nullptr;  ///< of the results, or null
};

/// Points m's rows at what output row y of picture n reads, from channel c; returns the mask of rows.
inline int point_rows(const Pass& pass, std::int64_t n, std::int64_t y, std::int64_t c, PixelRun& m) {
  int mask = 0;
  for (int r = 0; r < kSide; ++r) {
    const std::int64_t at = r < pass.down.taps ? pass.down.reads(y, r) : -1;
    mask |= (at >= 0) << r;
    m.row[r] = pass.src + (n * pass.down.in + larger(at, 0)) * pass.right.in * pass.src_pitch + c;
  }
  return mask;
}

/// Points m at the part of `run` that starts `skip` outputs in and has `count` of them.
inline void point_columns(const Pass& pass, const Run& run, std::int64_t skip, std::int64_t count, PixelRun& m) {
  for (int s = 0; s < kSide; ++s) m.col[s] = (larger(run.reads[s], 0) + skip * pass.right.src_step()) * pass.src_pitch;
  m.count = count;
}

/// Output row y of picture n.
inline void sum_taps_of_row(const Pass& pass, const Runs& runs, std::int64_t n, std::int64_t y) {
  PixelRun m;
  m.src_step = pass.right.src_step() * pass.src_pitch;
  m.dst_step = pass.right.step() * pass.dst_pitch;
  m.channels = pass.c;
  m.weight = pass.weight;
  m.weight_row = pass.right.taps * pass.weight_pitch;
  m.weight_col = pass.weight_pitch;
  m.bias = pass.bias;
  m.clamp = pass.clamp;
  const int rows = point_rows(pass, n, y, 0, m);
  for (std::int64_t i = 0; i < runs.count; ++i) {
    const Run& run = runs.runs[i];
    point_columns(pass, run, 0, run.count, m);
    m.dst = pass.dst + ((n * pass.down.out + y) * pass.right.out + run.first) * pass.dst_pitch;
    kSumTaps[rows][run.mask](m);
  }
}

/// A task: channels [c, c + channels) over output pixels [first, end), in order; the sum of a tap goes to
/// out[tap · pass.c + channel].
struct ChunkSum {
  std::int64_t first, end, c, channels;
  float* out;
};

inline void sum_products_of_pixels(const Pass& pass, const Runs& runs, const ChunkSum& task,
                                   VecF (*sums)[kSide * kSide]) {
  PixelRun m;
  m.src_step = pass.right.src_step() * pass.src_pitch;
  m.dst_step = pass.dst_pitch;
  m.channels = task.channels;
  const std::int64_t wide = pass.right.out;
  std::int64_t q = task.first % wide, p = task.first / wide % pass.down.out, n = task.first / wide / pass.down.out;
  for (std::int64_t pixel = task.first; pixel < task.end; q = 0) {
    const std::int64_t stop = smaller(wide, q + task.end - pixel);
    const int rows = point_rows(pass, n, p, task.c, m);
    for (std::int64_t i = 0; i < runs.count; ++i) {
      const Run& run = runs.runs[i];
      const std::int64_t from = larger(run.first, q), to = smaller(run.first + run.count, stop);
      if (from >= to) continue;
      point_columns(pass, run, from - run.first, to - from, m);
      m.dst = pass.dst + (pixel + from - q) * pass.dst_pitch + task.c;
      kSumProducts[rows][run.mask](m, sums);
    }
    pixel += stop - q;
    if (++p < pass.down.out) continue;
    p = 0;
    ++n;
  }
}

/// Below a vector of channels, and for wider windows, the general code with partial loads runs.
inline bool has_own_code(const ConvGeometry& g) { return g.r <= kSide && g.s <= kSide && g.c >= VecF::width; }

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
        sum =
            fma(VecF::load(from, lanes), VecF::load(pass.weight + (r * pass.right.taps + s) * pass.c + c, lanes), sum);
      }
    }
    if (pass.bias != nullptr) sum = sum + VecF::load(pass.bias + c, lanes);
    (pass.clamp != nullptr ? clamped(sum, *pass.clamp) : sum).store(dst + c, lanes);
  }
}

inline void run_pass(const Pass& pass, bool own_code) {
  const Runs runs = find_runs(pass.right);
  for_rows(pass.n * pass.down.out, pass.right.out * pass.c, [&](std::int64_t row) {
    const std::int64_t n = row / pass.down.out, y = row % pass.down.out;
    if (own_code) {
      sum_taps_of_row(pass, runs, n, y);
      return;
    }
    for (std::int64_t x = 0; x < pass.right.out; ++x) sum_taps_of_pixel(pass, n, y, x);
  });
  scratch_release(runs.runs, run_bytes(pass.right));
}

}  // namespace
}  // namespace octet::kernels
