// Pooling of codes over vectors of channels. Included after simd_*.h and kernels/conv2d_int8/vector_store.h.
#include "kernels/pool_int8/window.h"

namespace octet::kernels {
namespace {

/// op(window, the picture's first code, index of the output's first channel), over output rows in parallel.
template <class Op>
void for_each_pixel(const PoolInt8Problem& problem, const void* src, Op op) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  for_rows(g.n * out_h, out_w * g.r * g.s * g.c, [&](std::int64_t row) {
    const std::uint8_t* picture = static_cast<const std::uint8_t*>(src) + row / out_h * g.h * g.w * g.c;
    for (std::int64_t q = 0; q < out_w; ++q) op(window_of(g, row % out_h, q), picture, (row * out_w + q) * g.c);
  });
}

void max_pool(const PoolInt8Problem& problem, const PoolInt8Pointers& pointers) {
  const ConvGeometry& g = problem.geometry;
  const VecI flip = VecI::set1(problem.src == DType::s8 ? 128 : 0);  // s8 codes in the order of u8
  for_each_pixel(problem, pointers.src, [&](const Window& win, const std::uint8_t* picture, std::int64_t index) {
    for_vectors(0, g.c, [&](std::int64_t c, auto part) {
      VecI best = VecI::zero();
      for (std::int64_t y = win.top; y < win.bottom; ++y)
        for (std::int64_t x = win.left; x < win.right; ++x)
          best = max(best, load(picture + (y * g.w + x) * g.c + c, part) ^ flip);
      store_bytes(best ^ flip, static_cast<std::uint8_t*>(pointers.dst) + index + c, part);
    });
  });
}

void avg_pool(const PoolInt8Problem& problem, const PoolInt8Pointers& pointers) {
  const ConvGeometry& g = problem.geometry;
  const std::int32_t shift = problem.src == DType::s8 ? 128 : 0;
  const VecI flip = VecI::set1(shift), z = VecI::set1(problem.z);
  const VecF lo = VecF::set1(static_cast<float>(problem.lo - problem.z));
  const VecF hi = VecF::set1(static_cast<float>(problem.hi - problem.z));
  const bool floats = problem.dst == DType::f32;
  void* const dst = pointers.dst;
  for_each_pixel(problem, pointers.src, [&](const Window& win, const std::uint8_t* picture, std::int64_t index) {
    const std::int32_t n = pixels_of(win);
    const VecI zeros = VecI::set1(n * (shift + problem.z_x));
    const VecF m = VecF::set1(qmath::average_multiplier(problem.s_x, problem.s_y, n));
    const std::int64_t c_all = g.c, line = g.w * g.c;
    for_vectors(0, c_all, [=](std::int64_t c, auto part) {  // by value: no store can alias the copies
      VecI sum = VecI::zero();
      for (std::int64_t y = win.top; y < win.bottom; ++y)
        for (std::int64_t x = win.left; x < win.right; ++x)
          sum = sum + (load(picture + y * line + x * c_all + c, part) ^ flip);
      const VecF t = to_float(sum - zeros) * m;
      if (floats)
        store(t, static_cast<float*>(dst) + index + c, part);
      else
        store_bytes(to_int_even(clamp(t, lo, hi)) + z, static_cast<std::uint8_t*>(dst) + index + c, part);
    });
  });
}

}  // namespace
}  // namespace octet::kernels
