// dwconv2d on vectors of channels: whole calls made of the passes of pixel_pass.inl. Included after a simd header.
#pragma once
#include "core/parallel.h"
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d/pixel_pass.inl"
#include "kernels/gemm/column_sums.inl"
#include "kernels/gemm/transpose.inl"

namespace octet::kernels {
namespace {

/// The weight as [r·s][c], so that a vector holds neighbouring channels of one tap; given back like any scratch.
inline std::size_t tap_bytes(const ConvGeometry& g) {
  return static_cast<std::size_t>(g.r * g.s * g.c) * sizeof(float);
}
inline float* pack_taps(const ConvGeometry& g, const void* weight) {
  auto* taps = static_cast<float*>(scratch_acquire(tap_bytes(g)));
  transpose_matrix(static_cast<const float*>(weight), g.c, g.r * g.s, g.r * g.s, taps, g.c);
  return taps;
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

/// Channels of a task of the weight gradient; the last task takes less than a vector more, which its last vector
/// overlaps.
constexpr int kSumChannels = 8 * VecF::width;

inline void sum_chunk(const Pass& pass, const Runs& runs, const ChunkSum& task) {
  VecF sums[kSumChannels / VecF::width + 1][kSide * kSide];
  for (auto& tap_sums : sums)
    for (VecF& sum : tap_sums) sum = VecF::zero();
  sum_products_of_pixels(pass, runs, task, sums);
  for (std::int64_t v = 0; v * VecF::width < task.channels; ++v)
    for (std::int64_t r = 0; r < pass.down.taps; ++r)
      for (std::int64_t s = 0; s < pass.right.taps; ++s) {
        float* out = task.out + (r * pass.right.taps + s) * pass.c + task.c;
        sums[v][r * kSide + s].store(out + vector_start(v, task.channels));
      }
}

/// The same for any window and any number of channels.
inline void sum_chunk_general(const Pass& pass, const ChunkSum& task) {
  constexpr int W = VecF::width;
  const std::int64_t wide = pass.right.out, last = task.c + task.channels;
  for (std::int64_t tap = 0; tap < pass.down.taps * pass.right.taps; ++tap)
    for (std::int64_t i = task.c; i < last; i += W) {
      const int lanes = static_cast<int>(smaller(last - i, W));
      VecF sum = VecF::zero();
      for (std::int64_t pixel = task.first; pixel < task.end; ++pixel) {
        const std::int64_t n = pixel / wide / pass.down.out;
        const std::int64_t row = pass.down.reads(pixel / wide % pass.down.out, tap / pass.right.taps);
        const std::int64_t col = pass.right.reads(pixel % wide, tap % pass.right.taps);
        if (row < 0 || col < 0) continue;
        const float* src = pass.src + ((n * pass.down.in + row) * pass.right.in + col) * pass.c + i;
        sum = fma(VecF::load(pass.dst + pixel * pass.c + i, lanes), VecF::load(src, lanes), sum);
      }
      sum.store(task.out + tap * pass.c + i, lanes);
    }
}

inline void dwconv2d_backward_weight(const ConvGeometry& g, const DwConv2dPointers& io) {
  // `dst` of a pass is only read here.
  const Pass pass{down_axis(g, false),
                  right_axis(g, false),
                  g.n,
                  g.c,
                  static_cast<const float*>(io.src),
                  nullptr,
                  nullptr,
                  const_cast<float*>(static_cast<const float*>(io.d_dst))};
  const bool own_code = has_own_code(g);
  const std::int64_t pixels = g.out_pixels(), chunk = reduction_chunk(pixels);
  const std::int64_t chunks = larger(ceil_div(pixels, chunk), 1), count = g.r * g.s * g.c;
  const std::int64_t blocks = ceil_div(own_code ? g.c - VecF::width + 1 : g.c, kSumChannels);
  const std::size_t bytes = static_cast<std::size_t>(chunks * count) * sizeof(float);
  auto* parts = static_cast<float*>(scratch_acquire(bytes));
  const Runs runs = find_runs(pass.right);
  parallel_for(chunks * blocks, [&](std::int64_t i) {
    const std::int64_t part = i / blocks, block = i % blocks, first = part * chunk, c = block * kSumChannels;
    const ChunkSum task{first, smaller(first + chunk, pixels), c, block + 1 == blocks ? g.c - c : kSumChannels,
                        parts + part * count};
    if (own_code)
      sum_chunk(pass, runs, task);
    else
      sum_chunk_general(pass, task);
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
#define OCTET_DWCONV2D_ROWS(impl)                                   \
  OCTET_VECTOR_ROW(dwconv2d_fwd, impl, dwconv2d_forward)            \
  OCTET_VECTOR_ROW(dwconv2d_bwd_data, impl, dwconv2d_backward_data) \
  OCTET_VECTOR_ROW(dwconv2d_bwd_weight, impl, dwconv2d_backward_weight)

}  // namespace octet::kernels
