#include <limits>

#include "core/parallel.h"
#include "kernels/pool_int8/window.h"

namespace octet::kernels {
namespace {

/// op(window, channel's first code in the picture, index in dst) for every output, over output rows in parallel.
template <class Code, class Op>
void for_each_output(const PoolInt8Problem& problem, const void* src, Op op) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.n * out_h, [&](std::int64_t row) {
    const Code* picture = static_cast<const Code*>(src) + row / out_h * g.h * g.w * g.c;
    for (std::int64_t q = 0; q < out_w; ++q) {
      const Window window = window_of(g, row % out_h, q);
      for (std::int64_t c = 0; c < g.c; ++c) op(window, picture + c, (row * out_w + q) * g.c + c);
    }
  });
}

template <class Code>
void max_pool(const PoolInt8Problem& problem, const PoolInt8Pointers& pointers) {
  const ConvGeometry& g = problem.geometry;
  for_each_output<Code>(problem, pointers.src, [&](const Window& win, const Code* x, std::int64_t i) {
    Code best = std::numeric_limits<Code>::lowest();
    for (std::int64_t y = win.top; y < win.bottom; ++y)
      for (std::int64_t z = win.left; z < win.right; ++z)
        if (x[(y * g.w + z) * g.c] > best) best = x[(y * g.w + z) * g.c];
    static_cast<Code*>(pointers.dst)[i] = best;
  });
}

template <class Code>
void avg_pool(const PoolInt8Problem& problem, const PoolInt8Pointers& pointers) {
  const ConvGeometry& g = problem.geometry;
  for_each_output<Code>(problem, pointers.src, [&](const Window& win, const Code* x, std::int64_t i) {
    std::int32_t sum = 0;
    for (std::int64_t y = win.top; y < win.bottom; ++y)
      for (std::int64_t z = win.left; z < win.right; ++z) sum += x[(y * g.w + z) * g.c] - problem.z_x;
    const float m = qmath::average_multiplier(problem.s_x, problem.s_y, pixels_of(win));
    if (problem.dst == DType::f32)
      static_cast<float*>(pointers.dst)[i] = static_cast<float>(sum) * m;
    else
      static_cast<std::uint8_t*>(pointers.dst)[i] =
          static_cast<std::uint8_t>(qmath::requantize(sum, m, problem.z, problem.lo, problem.hi));
  });
}

}  // namespace

const char* max_pool_int8_fwd_int8_reference_why_not(const PoolInt8Problem&) { return nullptr; }
void max_pool_int8_fwd_int8_reference(const PoolInt8Problem& p, const PoolInt8Pointers& x, const Context&) {
  p.src == DType::s8 ? max_pool<std::int8_t>(p, x) : max_pool<std::uint8_t>(p, x);
}

const char* avg_pool_int8_fwd_int8_reference_why_not(const PoolInt8Problem&) { return nullptr; }
void avg_pool_int8_fwd_int8_reference(const PoolInt8Problem& p, const PoolInt8Pointers& x, const Context&) {
  p.src == DType::s8 ? avg_pool<std::int8_t>(p, x) : avg_pool<std::uint8_t>(p, x);
}

}  // namespace octet::kernels
