// The columns of a convolution: for each output pixel the source values under its window, in (r,s,c) order, so that a
// convolution is a matrix product; and the way back. T is any element type: f32, f64, and u8 or s8 codes, whose padding
// is the zero point. Internal linkage: files compiled with ISA flags keep copies of their own.
#pragma once
#include <cstdint>

#include "kernels/problem.h"

namespace octet::kernels {
namespace {

/// Window taps [begin, end) in (r,s) order: tap r·S + s.
struct TapRange {
  std::int64_t begin = 0, end = 0;
};

/// to[0, count) = from[0, count), which may not overlap: in words of 16 bytes, since a window's rows are short and a call
/// to copy them would cost more than the copy.
template <class T>
inline void copy_values(const T* from, std::int64_t count, T* to) {
  constexpr std::int64_t kWord = 16 / static_cast<std::int64_t>(sizeof(T));
  if (count < kWord) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  for (std::int64_t i = 0; i < count - kWord; i += kWord) __builtin_memcpy(to + i, from + i, 16);
  __builtin_memcpy(to + count - kWord, from + count - kWord, 16);  // overlaps the word before
}

/// The values under taps `taps`, the first of which is (r, s), of the output pixel whose window starts at (y0, x0) of
/// `picture` (h,w,c).
template <class T>
inline void im2col_pixel(const ConvGeometry& g, const T* picture, std::int64_t y0, std::int64_t x0, TapRange taps,
                         std::int64_t r, std::int64_t s, T padding, T* to) {
  if (s == 0 && x0 >= 0 && x0 + g.s <= g.w && taps.end % g.s == 0) {
    // Whole window rows within the picture's sides, as most are.
    const std::int64_t count = g.s * g.c, rows = (taps.end - taps.begin) / g.s;
    const T* from = picture + ((y0 + r) * g.w + x0) * g.c;
    for (std::int64_t i = 0; i < rows; ++i, from += g.w * g.c, to += count) {
      const std::int64_t y = y0 + r + i;
      if (y >= 0 && y < g.h)
        copy_values(from, count, to);
      else
        for (std::int64_t j = 0; j < count; ++j) to[j] = padding;
    }
    return;
  }
  for (std::int64_t tap = taps.begin; tap < taps.end; s = 0, ++r) {
    const std::int64_t y = y0 + r, wanted = g.s - s < taps.end - tap ? g.s - s : taps.end - tap;
    // Taps of one window row are neighbours in memory: some before the picture, some inside, some behind.
    const std::int64_t x = x0 + s, stop = y >= 0 && y < g.h ? x + wanted : x;
    const std::int64_t begin = x < 0 ? (stop < 0 ? stop : 0) : x, end = stop > g.w ? (x > g.w ? x : g.w) : stop;
    const std::int64_t before = (begin - x) * g.c, inside = end > begin ? (end - begin) * g.c : 0;
    const T* from = inside > 0 ? picture + (y * g.w + begin) * g.c : picture;
    std::int64_t i = 0;
    for (; i < before; ++i) to[i] = padding;
    copy_values(from, inside, to + before);
    for (i = before + inside; i < wanted * g.c; ++i) to[i] = padding;
    to += wanted * g.c;
    tap += wanted;
  }
}

/// Rows of columns for output pixels [first, first + count), counted over pictures: row i is at columns + i · ld and
/// has (taps.end − taps.begin) · c values. src is N,H,W,C.
template <class T>
inline void im2col(const ConvGeometry& g, const T* src, std::int64_t first, std::int64_t count, TapRange taps,
                   T padding, T* columns, std::int64_t ld) {
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  const std::int64_t r = taps.begin / g.s, s = taps.begin % g.s;
  std::int64_t n = first / (out_h * out_w), p = first / out_w % out_h, q = first % out_w;
  for (std::int64_t i = 0; i < count; ++i) {
    im2col_pixel(g, src + n * g.h * g.w * g.c, p * g.stride_h - g.pad_h, q * g.stride_w - g.pad_w, taps, r, s, padding,
                 columns + i * ld);
    if (++q < out_w) continue;
    q = 0;
    if (++p < out_h) continue;
    p = 0;
    ++n;
  }
}

/// The output coordinate whose tap reads source coordinate `at`, or -1.
inline std::int64_t reader_of(std::int64_t at, std::int64_t tap, std::int64_t pad, std::int64_t stride,
                              std::int64_t extent) {
  const std::int64_t shifted = at + pad - tap;
  return shifted >= 0 && shifted % stride == 0 && shifted / stride < extent ? shifted / stride : -1;
}

/// Gathers source row y of one picture from its columns (P·Q rows of r·s·c values): d_row[x,c] = Σ in (r,s) order by
/// plain addition from zero.
template <class T>
inline void col2im_row(const ConvGeometry& g, const T* columns, std::int64_t y, T* d_row) {
  const std::int64_t out_h = g.out_h(), out_w = g.out_w(), ld = g.r * g.s * g.c;
  for (std::int64_t i = 0; i < g.w * g.c; ++i) d_row[i] = T(0);
  for (std::int64_t x = 0; x < g.w; ++x)
    for (std::int64_t r = 0; r < g.r; ++r) {
      const std::int64_t p = reader_of(y, r, g.pad_h, g.stride_h, out_h);
      if (p < 0) continue;
      for (std::int64_t s = 0; s < g.s; ++s) {
        const std::int64_t q = reader_of(x, s, g.pad_w, g.stride_w, out_w);
        if (q < 0) continue;
        const T* from = columns + (p * out_w + q) * ld + (r * g.s + s) * g.c;
        for (std::int64_t c = 0; c < g.c; ++c) d_row[x * g.c + c] += from[c];
      }
    }
}

}  // namespace
}  // namespace octet::kernels
