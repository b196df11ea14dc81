// Windows over the channels of a map, for the tests of pooling and depthwise convolutions.
#pragma once
#include "kernels/problem.h"

namespace octet::kernels::hostile {

/// r by s, with one stride and one padding either way.
inline ConvGeometry windowed(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t r,
                             std::int64_t s, std::int64_t stride = 1, std::int64_t pad = 0) {
  return {n, h, w, c, c, r, s, stride, stride, pad, pad};
}

}  // namespace octet::kernels::hostile
