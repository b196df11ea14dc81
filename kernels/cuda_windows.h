// Index arithmetic of windows over maps (convolutions, pooling) for the device's kernels.
#pragma once
#include "core/host_device.h"
#include "kernels/problem.h"

namespace octet::kernels {

/// ConvGeometry in ints, which too_large() (channel_grid.h) has looked at, with the extent of the result.
struct WindowMap {
  int n, h, w, c, r, s, stride_h, stride_w, pad_h, pad_w, out_h, out_w;
};
inline WindowMap window_map(const ConvGeometry& g) {
  const auto i = [](std::int64_t x) { return static_cast<int>(x); };
  return {i(g.n),        i(g.h),        i(g.w),     i(g.c),     i(g.r),       i(g.s),
          i(g.stride_h), i(g.stride_w), i(g.pad_h), i(g.pad_w), i(g.out_h()), i(g.out_w())};
}

/// [begin, end) along an axis.
struct AxisSpan {
  int begin, end;
};
inline OCTET_HD int length(AxisSpan span) { return span.begin < span.end ? span.end - span.begin : 0; }
/// The places of window `out` inside a map.
inline OCTET_HD AxisSpan places(int out, int stride, int pad, int extent, int map) {
  const int begin = out * stride - pad, end = begin + extent;
  return {begin < 0 ? 0 : begin, end > map ? map : end};
}
/// The windows of `outs` that cover place `at`.
inline OCTET_HD AxisSpan windows(int at, int stride, int pad, int extent, int outs) {
  const int first = at + pad - extent + 1, last = (at + pad) / stride + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, last > outs ? outs : last};
}

/// Where item i of n · lines · (items of a line) lies.
struct LinePlace {
  int n, line, at;
};
inline OCTET_HD LinePlace line_place(int i, int lines, int per_line) {
  const unsigned row = static_cast<unsigned>(i) / static_cast<unsigned>(per_line);
  const unsigned n = row / static_cast<unsigned>(lines);
  return {static_cast<int>(n), static_cast<int>(row - n * static_cast<unsigned>(lines)),
          static_cast<int>(static_cast<unsigned>(i) - row * static_cast<unsigned>(per_line))};
}

}  // namespace octet::kernels
