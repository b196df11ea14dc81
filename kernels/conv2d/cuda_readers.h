// The gradient of a convolution's source as products: source pixels times the outputs that have read them. A gather, so
// that strides and overlapping windows need no atomic addition. With strides, the pixels fall into classes that the
// same taps read: each class is a product of its own, and none multiplies zeros that are not in a map's padding.
#pragma once
#include <algorithm>

#include "kernels/conv2d/cuda_gemm.h"

namespace octet::kernels {
namespace {

/// d_src of a convolution with windows. read(operand): the operand of d_dst as it is to be read. vectors: d_dst and
/// weight can be read by quads.
template <class Math = FloatMath, class Read>
void gather_gradient(const ConvGeometry& g, const float* d_dst, const Read& read, const float* weight, bool vectors,
                     float* d_src, void* stream) {
  // Pixels between the windows.
  if (g.stride_h > g.r || g.stride_w > g.s)
    gpu::zero(d_src, static_cast<std::size_t>(g.n * g.h * g.w * g.c) * sizeof(float));
  for (std::int64_t r = 0; r < std::min(g.stride_h, g.r); ++r)
    for (std::int64_t s = 0; s < std::min(g.stride_w, g.s); ++s) {
      const ReaderClass y = reader_class(g.h, g.r, g.stride_h, g.pad_h, r);
      const ReaderClass x = reader_class(g.w, g.s, g.stride_w, g.pad_w, s);
      const std::int64_t pixels = g.n * y.places * x.places;
      if (pixels == 0) continue;
      multiply<Math>(read(WindowRows{Gather(g, y, x), d_dst}), ClassWeights(g, x, r, s, weight), pixels, g.c,
                     y.taps * x.taps * g.k, vectors, nullptr, Result(d_src, RowPlaces(g, y, x)), stream);
    }
}

}  // namespace
}  // namespace octet::kernels
