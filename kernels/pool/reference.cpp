// The definition of max and average pooling, in f32 and f64.
#include "kernels/pool/pool.h"

namespace octet::kernels {
namespace {

/// The part [begin, end) of a window that lies inside the map.
struct Span {
  std::int64_t begin, end;
};
Span window(std::int64_t out, std::int64_t stride, std::int64_t pad, std::int64_t extent, std::int64_t map) {
  const std::int64_t begin = out * stride - pad, end = begin + extent;
  return {begin < 0 ? 0 : begin, end > map ? map : end};
}

/// f(picture, p, q, rows, columns) for every window in order.
template <class F>
void for_windows(const PoolProblem& g, F f) {
  for (std::int64_t n = 0; n < g.n; ++n) {
    for (std::int64_t p = 0; p < g.out_h(); ++p) {
      for (std::int64_t q = 0; q < g.out_w(); ++q) {
        f(n, p, q, window(p, g.stride_h, g.pad_h, g.r, g.h), window(q, g.stride_w, g.pad_w, g.s, g.w));
      }
    }
  }
}

std::int64_t taps(Span rows, Span columns) {
  return rows.begin < rows.end && columns.begin < columns.end ? (rows.end - rows.begin) * (columns.end - columns.begin)
                                                              : 0;
}

template <class T>
void max_pool_fwd(const PoolProblem& g, const PoolPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  T* dst = static_cast<T*>(x.dst);
  for_windows(g, [&](std::int64_t n, std::int64_t p, std::int64_t q, Span rows, Span columns) {
    for (std::int64_t c = 0; c < g.c; ++c) {
      T best = 0;
      std::int32_t winner = -1;
      for (std::int64_t h = rows.begin; h < rows.end; ++h) {
        for (std::int64_t w = columns.begin; w < columns.end; ++w) {
          const T value = src[((n * g.h + h) * g.w + w) * g.c + c];
          if (winner < 0 || (!(value <= best) && best == best)) {
            best = value;
            winner = static_cast<std::int32_t>(h * g.w + w);
          }
        }
      }
      const std::int64_t at = ((n * g.out_h() + p) * g.out_w() + q) * g.c + c;
      dst[at] = best;
      x.argmax[at] = winner;
    }
  });
}

template <class T>
void avg_pool_fwd(const PoolProblem& g, const PoolPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  T* dst = static_cast<T*>(x.dst);
  for_windows(g, [&](std::int64_t n, std::int64_t p, std::int64_t q, Span rows, Span columns) {
    for (std::int64_t c = 0; c < g.c; ++c) {
      T sum = 0;
      for (std::int64_t h = rows.begin; h < rows.end; ++h) {
        for (std::int64_t w = columns.begin; w < columns.end; ++w) sum += src[((n * g.h + h) * g.w + w) * g.c + c];
      }
      const std::int64_t count = taps(rows, columns);
      dst[((n * g.out_h() + p) * g.out_w() + q) * g.c + c] = count == 0 ? T(0) : sum / static_cast<T>(count);
    }
  });
}

template <class T>
void clear(const PoolProblem& g, T* d_src) {
  for (std::int64_t i = 0; i < g.n * g.h * g.w * g.c; ++i) d_src[i] = 0;
}

template <class T>
void max_pool_bwd(const PoolProblem& g, const PoolPointers& x) {
  const T* d_dst = static_cast<const T*>(x.d_dst);
  T* d_src = static_cast<T*>(x.d_src);
  clear(g, d_src);
  for_windows(g, [&](std::int64_t n, std::int64_t p, std::int64_t q, Span, Span) {
    for (std::int64_t c = 0; c < g.c; ++c) {
      const std::int64_t at = ((n * g.out_h() + p) * g.out_w() + q) * g.c + c;
      if (x.argmax[at] >= 0) d_src[(n * g.h * g.w + x.argmax[at]) * g.c + c] += d_dst[at];
    }
  });
}

template <class T>
void avg_pool_bwd(const PoolProblem& g, const PoolPointers& x) {
  const T* d_dst = static_cast<const T*>(x.d_dst);
  T* d_src = static_cast<T*>(x.d_src);
  clear(g, d_src);
  for_windows(g, [&](std::int64_t n, std::int64_t p, std::int64_t q, Span rows, Span columns) {
    const T count = static_cast<T>(taps(rows, columns));
    for (std::int64_t h = rows.begin; h < rows.end; ++h) {
      for (std::int64_t w = columns.begin; w < columns.end; ++w) {
        for (std::int64_t c = 0; c < g.c; ++c) {
          d_src[((n * g.h + h) * g.w + w) * g.c + c] += d_dst[((n * g.out_h() + p) * g.out_w() + q) * g.c + c] / count;
        }
      }
    }
  });
}

}  // namespace

#define ROW(pass, dtypes, T)                                                              \
  const char* pass##_##dtypes##_reference_why_not(const PoolProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const PoolProblem& g, const PoolPointers& x, const Context&) { pass<T>(g, x); }
ROW(max_pool_fwd, f32, float)
ROW(max_pool_fwd, f64, double)
ROW(max_pool_bwd, f32, float)
ROW(max_pool_bwd, f64, double)
ROW(avg_pool_fwd, f32, float)
ROW(avg_pool_fwd, f64, double)
ROW(avg_pool_bwd, f32, float)
ROW(avg_pool_bwd, f64, double)
#undef ROW

}  // namespace octet::kernels
