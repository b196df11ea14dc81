// The windows that a network's depthwise layers have, over pictures that lie as [pixel][VecF::width]: 3x3 with padding
// 1, in steps of 1 or 2, so that only windows of the first and the last row and column stand half outside. A picture's
// pixels follow each other without a branch on the taps. Sums are those of dwconv2d.h.
#pragma once
#include "kernels/dwconv2d/ahead.inl"
#include "kernels/dwconv2d/pixel_run.inl"
#include "kernels/problem.h"

namespace octet::kernels {
namespace {

/// How windows lie on a picture. point: a 1x1 picture, under one tap. other: by the runs of pixel_run.inl.
enum class Windows { same, halving, point, other };

inline Windows windows_of(const ConvGeometry& g) {
  if (g.h == 1 && g.w == 1 && g.out_h() == 1 && g.out_w() == 1 && g.pad_h < g.r && g.pad_w < g.s) return Windows::point;
  const bool usual = g.r == 3 && g.s == 3 && g.pad_h == 1 && g.pad_w == 1 && g.stride_h == g.stride_w;
  if (usual && g.stride_h == 1 && g.h >= 2 && g.w >= 2) return Windows::same;
  if (usual && g.stride_h == 2 && g.h % 2 == 0 && g.w % 2 == 0 && g.h > 0 && g.w > 0) return Windows::halving;
  return Windows::other;
}

/// A vector's channels of some pictures.
struct VectorPictures {
  std::int64_t count, h, w, out_h, out_w;
  const float* src;  ///< count,h,w (forward, products)
  const float* d;    ///< count,out_h,out_w (backward, products)
  const float* weight;
  std::int64_t weight_pitch;  ///< tap (r, s) at (3r + s) · weight_pitch; of a point: the tap alone
  Ahead* ahead;               ///< a step for every row, kWindowWork a pixel
};
constexpr std::int64_t kWindowWork = 10;

OCTET_SIMD void load_taps(const VectorPictures& p, VecF (&w)[kSide * kSide]) {
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t) w[t] = VecF::load(p.weight + t * p.weight_pitch);
}

/// Sums that are made side by side: one is a chain of dependent operations, which would fill the processor's queues.
constexpr int kAbreast = VecF::width == 16 ? 4 : 2;

/// visit.at<RowMask, ColMask, count>(y, x) for every output pixel in order, `count` of them from x on.
template <int Stride, int RowMask, class Visit>
OCTET_SIMD void visit_row(std::int64_t y, std::int64_t out_w, Visit& visit) {
  constexpr std::int64_t kClipped = Stride == 1 ? 1 : 0;
  visit.template at<RowMask, 6, 1>(y, 0);
  std::int64_t x = 1;
  for (; x + kAbreast <= out_w - kClipped; x += kAbreast) visit.template at<RowMask, 7, kAbreast>(y, x);
  if (kAbreast > 2 && x + 2 <= out_w - kClipped) {
    visit.template at<RowMask, 7, 2>(y, x);
    x += 2;
  }
  if (x < out_w - kClipped) visit.template at<RowMask, 7, 1>(y, x);
  if (kClipped != 0) visit.template at<RowMask, 3, 1>(y, out_w - 1);
}
template <int Stride, class Visit>
OCTET_SIMD void visit_windows(std::int64_t out_h, std::int64_t out_w, Ahead* ahead, Visit& visit) {
  constexpr std::int64_t kClipped = Stride == 1 ? 1 : 0;
  const std::int64_t work = out_w * kWindowWork;
  visit_row<Stride, 6>(0, out_w, visit);
  ahead->step(work);
  for (std::int64_t y = 1; y < out_h - kClipped; ++y) {
    visit_row<Stride, 7>(y, out_w, visit);
    ahead->step(work);
  }
  if (kClipped == 0) return;
  visit_row<Stride, 3>(out_h - 1, out_w, visit);
  ahead->step(work);
}

/// The sums of neighbouring windows, `Step` pixels from one to the next around `middle`; Step -1: the windows of step 1
/// read from the other end, their masks as those of what is read.
template <int RowMask, int ColMask, int Step, int Count>
OCTET_SIMD void sum_abreast(const float* middle, std::int64_t row, const VecF (&w)[kSide * kSide],
                            VecF (&sums)[Count]) {
  constexpr int kTurn = Step < 0 ? -1 : 1;
  OCTET_UNROLL
  for (int i = 0; i < Count; ++i) sums[i] = VecF::zero();
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t)
    if (reads_tap(RowMask, ColMask, kTurn < 0 ? kSide * kSide - 1 - t : t)) {
      const float* at = middle + kTurn * (t / kSide - 1) * row + kTurn * (t % kSide - 1) * VecF::width;
      OCTET_UNROLL
      for (int i = 0; i < Count; ++i) sums[i] = fma(VecF::load(at + i * kTurn * Step * VecF::width), w[t], sums[i]);
    }
}

/// Gives the sum of every window to sink(sum), pixels in order.
template <int Stride, class Sink>
struct SumWindows {
  const float* src;
  std::int64_t row;  ///< floats of a source row
  const VecF (&w)[kSide * kSide];
  Sink& sink;
  template <int RowMask, int ColMask, int Count>
  OCTET_SIMD void at(std::int64_t y, std::int64_t x) {
    const float* middle = src + y * Stride * row + x * Stride * VecF::width;
    VecF sums[Count];
    sum_abreast<RowMask, ColMask, Stride>(middle, row, w, sums);
    OCTET_UNROLL
    for (int i = 0; i < Count; ++i) sink(sums[i]);
  }
};

/// Backward of stride 1: the same windows, read from the other end.
template <class Sink>
struct SumMirrored {
  const float* d;
  std::int64_t row;
  const VecF (&w)[kSide * kSide];
  Sink& sink;
  template <int RowMask, int ColMask, int Count>
  OCTET_SIMD void at(std::int64_t y, std::int64_t x) {
    VecF sums[Count];
    sum_abreast<RowMask, ColMask, -1>(d + y * row + x * VecF::width, row, w, sums);
    OCTET_UNROLL
    for (int i = 0; i < Count; ++i) sink(sums[i]);
  }
};

/// sums[t] += d · src under tap t.
template <int Stride>
struct AddProducts {
  const float *src, *d;
  std::int64_t row;
  VecF (&sums)[kSide * kSide];
  template <int RowMask, int ColMask, int Count>
  OCTET_SIMD void at(std::int64_t y, std::int64_t x) {
    const float* middle = src + y * Stride * row + x * Stride * VecF::width;
    OCTET_UNROLL
    for (int i = 0; i < Count; ++i, middle += Stride * VecF::width, d += VecF::width) {
      const VecF gradient = VecF::load(d);
      OCTET_UNROLL
      for (int t = 0; t < kSide * kSide; ++t)
        if (reads_tap(RowMask, ColMask, t))
          sums[t] = fma(gradient, VecF::load(middle + (t / kSide - 1) * row + (t % kSide - 1) * VecF::width), sums[t]);
    }
  }
};

template <int Stride, class Sink>
[[gnu::noinline]] void sum_windows(const VectorPictures& pictures, Sink& sink) {
  const VectorPictures p = pictures;
  Sink own = sink;  // in registers: no store can alias this copy
  VecF w[kSide * kSide];
  load_taps(p, w);
  SumWindows<Stride, Sink> visit{p.src, p.w * VecF::width, w, own};
  for (std::int64_t n = 0; n < p.count; ++n, visit.src += p.h * p.w * VecF::width)
    visit_windows<Stride>(p.out_h, p.out_w, p.ahead, visit);
  sink = own;
}

template <class Sink>
[[gnu::noinline]] void sum_mirrored(const VectorPictures& pictures, Sink& sink) {
  const VectorPictures p = pictures;
  Sink own = sink;
  VecF w[kSide * kSide];
  load_taps(p, w);
  SumMirrored<Sink> visit{p.d, p.w * VecF::width, w, own};
  for (std::int64_t n = 0; n < p.count; ++n, visit.d += p.h * p.w * VecF::width)
    visit_windows<1>(p.h, p.w, p.ahead, visit);
  sink = own;
}

/// One source pixel of the backward pass of stride 2: tap 0 of an axis reads the next window's d, taps 1 and 2 this
/// one's.
template <int RowMask, int ColMask>
OCTET_SIMD VecF halved_sum(const float* d, const float* next_row, const VecF (&w)[kSide * kSide]) {
  VecF sum = VecF::zero();
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t)
    if (reads_tap(RowMask, ColMask, t))
      sum = fma(VecF::load((t / kSide == 0 ? next_row : d) + (t % kSide == 0 ? VecF::width : 0)), w[t], sum);
  return sum;
}

/// Source rows lie under row tap 1 (RowMask 2), or under 0 of the next row of d and 2 of this one (5), without a next
/// row under 2 (4); columns likewise.
template <int RowMask, class Sink>
OCTET_SIMD void sum_halved_row(const float* d, std::int64_t out_w, const VecF (&w)[kSide * kSide], Sink& sink) {
  const std::int64_t row = out_w * VecF::width;
  for (std::int64_t q = 0; q < out_w - 1; ++q, d += VecF::width) {
    sink(halved_sum<RowMask, 2>(d, d + row, w));
    sink(halved_sum<RowMask, 5>(d, d + row, w));
  }
  sink(halved_sum<RowMask, 2>(d, d + row, w));
  sink(halved_sum<RowMask, 4>(d, d + row, w));
}

template <class Sink>
[[gnu::noinline]] void sum_halved(const VectorPictures& pictures, Sink& sink) {
  const VectorPictures p = pictures;
  Sink own = sink;
  VecF w[kSide * kSide];
  load_taps(p, w);
  const float* d = p.d;
  for (std::int64_t n = 0; n < p.count; ++n) {
    for (std::int64_t row = 0; row < p.out_h; ++row, d += p.out_w * VecF::width) {
      sum_halved_row<2>(d, p.out_w, w, own);
      if (row + 1 < p.out_h)
        sum_halved_row<5>(d, p.out_w, w, own);
      else
        sum_halved_row<4>(d, p.out_w, w, own);
      p.ahead->step(p.out_w * kWindowWork);
    }
  }
  sink = own;
}

template <int Stride>
[[gnu::noinline]] void add_products(const VectorPictures& p, VecF (&sums)[kSide * kSide]) {
  VecF own[kSide * kSide];
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t) own[t] = sums[t];
  AddProducts<Stride> visit{p.src, p.d, p.w * VecF::width, own};
  const std::int64_t count = p.count, picture = p.h * p.w * VecF::width, out_h = p.out_h, out_w = p.out_w;
  Ahead* const ahead = p.ahead;
  for (std::int64_t n = 0; n < count; ++n, visit.src += picture) visit_windows<Stride>(out_h, out_w, ahead, visit);
  OCTET_UNROLL
  for (int t = 0; t < kSide * kSide; ++t) sums[t] = own[t];
}

/// Pictures of one pixel, forward and backward alike.
template <class Sink>
[[gnu::noinline]] void sum_points(const float* src, const VectorPictures& p, Sink& sink) {
  Sink own = sink;
  const VecF w = VecF::load(p.weight);
  for (std::int64_t n = 0; n < p.count; ++n) {
    own(fma(VecF::load(src + n * VecF::width), w, VecF::zero()));
    if (n % 8 == 7) p.ahead->step(8 * kWindowWork);
  }
  sink = own;
}
[[gnu::noinline]] inline VecF add_point_products(const VectorPictures& p, VecF sum) {
  for (std::int64_t n = 0; n < p.count; ++n)
    sum = fma(VecF::load(p.d + n * VecF::width), VecF::load(p.src + n * VecF::width), sum);
  return sum;
}

}  // namespace
}  // namespace octet::kernels
