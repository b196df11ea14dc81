// Pooling over vectors of channels; included by avx2.cpp and avx512.cpp after their vector types. Backward gathers: a
// pixel adds up its windows, so that tasks share nothing.
#include "kernels/pool/pool.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

/// [begin, end) along one axis.
struct Span {
  std::int64_t begin, end;
};
/// The taps of window `out` inside the map.
Span taps(std::int64_t out, std::int64_t stride, std::int64_t pad, std::int64_t extent, std::int64_t map) {
  const std::int64_t begin = out * stride - pad, end = begin + extent;
  return {begin < 0 ? 0 : begin, end > map ? map : end};
}
/// The windows that cover pixel `at`.
Span windows(std::int64_t at, std::int64_t stride, std::int64_t pad, std::int64_t extent, std::int64_t outs) {
  const std::int64_t first = at + pad - extent + 1, last = (at + pad) / stride + 1;
  return {first <= 0 ? 0 : ceil_div(first, stride), last > outs ? outs : last};
}
std::int64_t length(Span s) { return s.begin < s.end ? s.end - s.begin : 0; }

/// f(picture · p of the row, rows) for every row of windows.
template <class F>
void for_output_rows(const PoolProblem& g, F f) {
  const std::int64_t height = g.out_h(), width = g.out_w();
  for_rows(g.n * height, width * g.c * g.r * g.s,
           [&](std::int64_t row) { f(row / height, row, taps(row % height, g.stride_h, g.pad_h, g.r, g.h)); });
}

void max_pool_fwd(const PoolProblem& g, const PoolPointers& x) {
  for_output_rows(g, [&](std::int64_t n, std::int64_t row, Span rows) {
    const float* picture = floats(x.src) + n * g.h * g.w * g.c;
    for (std::int64_t q = 0; q < g.out_w(); ++q) {
      const Span columns = taps(q, g.stride_w, g.pad_w, g.s, g.w);
      const std::int64_t at = (row * g.out_w() + q) * g.c;
      const bool empty = length(rows) == 0 || length(columns) == 0;
      const std::int64_t start = empty ? -1 : rows.begin * g.w + columns.begin;
      for_vectors(0, g.c, [&](std::int64_t c, auto part) {
        VecF best = empty ? VecF::zero() : load(picture + start * g.c + c, part);
        VecI winner = VecI::set1(static_cast<std::int32_t>(start));
        for (std::int64_t h = rows.begin; h < rows.end; ++h) {
          for (std::int64_t w = columns.begin; w < columns.end; ++w) {
            const VecF value = load(picture + (h * g.w + w) * g.c + c, part);
            const MaskF wins = ~(value <= best) & ~is_nan(best);
            best = select(wins, value, best);
            winner = select(wins, VecI::set1(static_cast<std::int32_t>(h * g.w + w)), winner);
          }
        }
        store(best, floats(x.dst) + at + c, part);
        store(winner, x.argmax + at + c, part);
      });
    }
  });
}

void avg_pool_fwd(const PoolProblem& g, const PoolPointers& x) {
  for_output_rows(g, [&](std::int64_t n, std::int64_t row, Span rows) {
    const float* picture = floats(x.src) + n * g.h * g.w * g.c;
    for (std::int64_t q = 0; q < g.out_w(); ++q) {
      const Span columns = taps(q, g.stride_w, g.pad_w, g.s, g.w);
      const std::int64_t count = length(rows) * length(columns);
      for_vectors(0, g.c, [&](std::int64_t c, auto part) {
        VecF sum = VecF::zero();
        for (std::int64_t h = rows.begin; h < rows.end; ++h) {
          for (std::int64_t w = columns.begin; w < columns.end; ++w) {
            sum = sum + load(picture + (h * g.w + w) * g.c + c, part);
          }
        }
        const VecF mean = count == 0 ? VecF::zero() : sum / VecF::set1(static_cast<float>(count));
        store(mean, floats(x.dst) + (row * g.out_w() + q) * g.c + c, part);
      });
    }
  });
}

/// d_src = Σ over the pixel's windows in (p,q) order of term(index of the window's first channel, c, part, pixel within
/// the picture, p, q).
template <class Term>
void gather(const PoolProblem& g, float* d_src, Term term) {
  const std::int64_t height = g.out_h(), width = g.out_w();
  for_rows(g.n * g.h, g.w * g.c, [&](std::int64_t row) {
    const std::int64_t n = row / g.h, h = row % g.h;
    const Span ps = windows(h, g.stride_h, g.pad_h, g.r, height);
    for (std::int64_t w = 0; w < g.w; ++w) {
      const Span qs = windows(w, g.stride_w, g.pad_w, g.s, width);
      for_vectors(0, g.c, [&](std::int64_t c, auto part) {
        VecF sum = VecF::zero();
        for (std::int64_t p = ps.begin; p < ps.end; ++p) {
          for (std::int64_t q = qs.begin; q < qs.end; ++q) {
            sum = sum + term(((n * height + p) * width + q) * g.c + c, part, h * g.w + w, p, q);
          }
        }
        store(sum, d_src + (row * g.w + w) * g.c + c, part);
      });
    }
  });
}

void max_pool_bwd(const PoolProblem& g, const PoolPointers& x) {
  const float* d_dst = floats(x.d_dst);
  const std::int32_t* argmax = x.argmax;
  gather(g, floats(x.d_src), [=](std::int64_t at, auto part, std::int64_t pixel, std::int64_t, std::int64_t) {
    const MaskF won = equal(load(argmax + at, part), VecI::set1(static_cast<std::int32_t>(pixel)));
    return select(won, load(d_dst + at, part), VecF::zero());
  });
}

void avg_pool_bwd(const PoolProblem& g, const PoolPointers& x) {
  const float* d_dst = floats(x.d_dst);
  gather(g, floats(x.d_src), [&](std::int64_t at, auto part, std::int64_t, std::int64_t p, std::int64_t q) {
    const std::int64_t count =
        length(taps(p, g.stride_h, g.pad_h, g.r, g.h)) * length(taps(q, g.stride_w, g.pad_w, g.s, g.w));
    return load(d_dst + at, part) / VecF::set1(static_cast<float>(count));
  });
}

}  // namespace

#define ROW(pass) OCTET_VECTOR_ROW(PoolProblem, PoolPointers, pass, f32, takes_all, pass)
ROW(max_pool_fwd)
ROW(max_pool_bwd)
ROW(avg_pool_fwd)
ROW(avg_pool_bwd)
#undef ROW

}  // namespace octet::kernels
