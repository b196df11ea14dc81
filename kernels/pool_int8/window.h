// The window of an output, cut to the picture.
#pragma once
#include "kernels/pool_int8/pool_int8.h"

namespace octet::kernels {
namespace {

/// The part of a window that lies inside the picture: [top, bottom) x [left, right).
struct Window {
  std::int64_t top, bottom, left, right;
};

inline OCTET_HD Window window_of(const ConvGeometry& g, std::int64_t p, std::int64_t q) {
  const std::int64_t top = p * g.stride_h - g.pad_h, left = q * g.stride_w - g.pad_w;
  return {top < 0 ? 0 : top, top + g.r < g.h ? top + g.r : g.h, left < 0 ? 0 : left,
          left + g.s < g.w ? left + g.s : g.w};
}

inline OCTET_HD std::int32_t pixels_of(const Window& w) {
  return static_cast<std::int32_t>((w.bottom - w.top) * (w.right - w.left));
}

}  // namespace
}  // namespace octet::kernels
