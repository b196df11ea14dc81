// The definition of fake quantization, its gradients and its observers, in f32 (through core/qmath.h) and f64 (the same
// formulas in double).
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/allocator.h"
#include "kernels/blocks.h"
#include "kernels/fake_quant/element.h"

namespace octet::kernels {
namespace {

constexpr int kLanes = 16;

template <class T>
void fake_quant_fwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const T* src = static_cast<const T*>(x.src);
  T* dst = static_cast<T*>(x.dst);
  const Grid grid(p);
  for (std::int64_t c = 0, i = 0; c < p.channels; ++c) {
    for (std::int64_t j = 0; j < p.inner; ++j, ++i)
      dst[i] = value_of(grid, code_of(grid, src[i], x.scale[c]), x.scale[c]);
  }
}

/// The partial sums added in the order that the header fixes.
double folded(double (&lanes)[kLanes]) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

/// The sum over one channel of what add(lane, j) adds to the partial sum of element j, in the order that the header
/// fixes.
template <class Add>
double sum_in_order(std::int64_t inner, Add add) {
  const std::int64_t chunk = reduction_chunk(inner);
  double total = 0;
  for (std::int64_t begin = 0; begin < inner; begin += chunk) {
    const std::int64_t end = begin + chunk < inner ? begin + chunk : inner;
    double lanes[kLanes] = {};
    for (std::int64_t j = begin; j < end; ++j) add(lanes[(j - begin) % kLanes], j);
    total += folded(lanes);
  }
  return total;
}

template <class T>
double scale_gradient(const FakeQuantProblem& p, const T* src, const T* d_dst, float scale) {
  const Grid grid(p);
  return sum_in_order(p.inner, [&](double& lane, std::int64_t j) {
    lane = std::fma(static_cast<double>(d_dst[j]), static_cast<double>(scale_slope(grid, src[j], scale)), lane);
  });
}

template <class T>
void clipped_sum(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const Grid grid(p);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const T* src = static_cast<const T*>(x.src) + c * p.inner;
    const T* d_dst = static_cast<const T*>(x.d_dst) + c * p.inner;
    static_cast<T*>(x.out)[c] = static_cast<T>(sum_in_order(p.inner, [&](double& lane, std::int64_t j) {
      if (is_clipped(grid, src[j], x.scale[c])) lane += static_cast<double>(d_dst[j]);
    }));
  }
}

template <class T>
void fake_quant_bwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const Grid grid(p);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const T* src = static_cast<const T*>(x.src) + c * p.inner;
    const T* d_dst = static_cast<const T*>(x.d_dst) + c * p.inner;
    T* d_src = static_cast<T*>(x.d_src) + c * p.inner;
    if (x.d_scale != nullptr) {
      static_cast<T*>(x.d_scale)[c] = static_cast<T>(scale_gradient(p, src, d_dst, x.scale[c]));
    }
    for (std::int64_t j = 0; j < p.inner; ++j) {
      d_src[j] = passed_gradient(grid, src[j], x.scale[c], d_dst[j]);
    }
  }
}

template <class T>
void abs_max(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const T* src = static_cast<const T*>(x.src) + c * p.inner;
    T top = 0;
    for (std::int64_t j = 0; j < p.inner && top == top; ++j) {
      const T a = std::fabs(src[j]);
      if (a != a) top = std::numeric_limits<T>::quiet_NaN();
      if (a > top) top = a;
    }
    static_cast<T*>(x.out)[c] = top;
  }
}

template <class T>
void min_max(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const T* src = static_cast<const T*>(x.src) + c * p.inner;
    T low = infinity, high = -infinity;
    bool lost = false;
    for (std::int64_t j = 0; j < p.inner; ++j) {
      if (src[j] < low) low = src[j];
      if (src[j] > high) high = src[j];
      lost = lost || src[j] != src[j];
    }
    T* out = static_cast<T*>(x.out) + 2 * c;
    out[0] = lost ? std::numeric_limits<T>::quiet_NaN() : low + T(0);  // + 0: a zero has no sign here
    out[1] = lost ? std::numeric_limits<T>::quiet_NaN() : high + T(0);
  }
}

void quantile(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    const float* src = static_cast<const float*>(x.src) + c * p.inner;
    const std::size_t bytes = static_cast<std::size_t>(p.inner) * sizeof(float);
    float* sizes = static_cast<float*>(scratch_acquire(bytes));
    bool lost = false;
    for (std::int64_t j = 0; j < p.inner; ++j) {
      sizes[j] = std::fabs(src[j]);
      lost = lost || !std::isfinite(src[j]);
    }
    float& out = static_cast<float*>(x.out)[c];
    out = std::numeric_limits<float>::quiet_NaN();
    if (!lost) {
      std::nth_element(sizes, sizes + p.rank - 1, sizes + p.inner);
      out = sizes[p.rank - 1];
    }
    scratch_release(sizes, bytes);
  });
}

void mse_top(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  abs_max<float>(p, x);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const float* src = static_cast<const float*>(x.src) + c * p.inner;
    const float top = static_cast<float*>(x.out)[c];
    double least = std::numeric_limits<double>::infinity();
    for (int k = 0; k < kMseSteps && std::isfinite(top); ++k) {
      const float candidate = mse_candidate(top, k), s = grid_scale(QuantRule::onnx, candidate, p.hi);
      double lanes[kLanes] = {};
      for (std::int64_t j = 0; j < p.inner; ++j) {
        const double e = rounding_error(std::fabs(src[j]), s, p.hi);
        lanes[j % kLanes] = std::fma(e, e, lanes[j % kLanes]);
      }
      const double sum = folded(lanes);
      if (sum < least) least = sum, static_cast<float*>(x.out)[c] = candidate;
    }
    if (!std::isfinite(top)) static_cast<float*>(x.out)[c] = std::numeric_limits<float>::quiet_NaN();
  }
}

void sawb_top(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  abs_max<float>(p, x);
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    const float* src = static_cast<const float*>(x.src) + c * p.inner;
    float& out = static_cast<float*>(x.out)[c];
    double sizes[kLanes] = {}, squares[kLanes] = {};
    for (std::int64_t j = 0; j < p.inner; ++j) {
      const double size = std::fabs(src[j]);
      sizes[j % kLanes] += size;
      squares[j % kLanes] = std::fma(size, size, squares[j % kLanes]);
    }
    out = std::isfinite(out) ? sawb_threshold(p, folded(sizes), folded(squares), out)
                             : std::numeric_limits<float>::quiet_NaN();
  });
}

template <class T>
void weight_quant_fwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  abs_max<T>(p, x);
  T* scale = static_cast<T*>(x.out);
  for (std::int64_t c = 0; c < p.channels; ++c) scale[c] = grid_scale(p.rule, scale[c], p.hi);
  FakeQuantPointers scaled = x;
  scaled.scale = scale;
  fake_quant_fwd<T>(p, scaled);
  const Grid grid(p);
  std::int8_t* codes = static_cast<std::int8_t*>(x.codes);
  for (std::int64_t i = 0; codes != nullptr && i < p.channels * p.inner; ++i)
    codes[i] = static_cast<std::int8_t>(code_of(grid, static_cast<const T*>(x.src)[i], scale[i / p.inner]));
}

}  // namespace

#define ROW(pass, dtypes, T)                                                                                \
  const char* pass##_##dtypes##_reference_why_not(const FakeQuantProblem&) { return nullptr; }              \
  void pass##_##dtypes##_reference(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context&) { \
    pass<T>(p, x);                                                                                          \
  }
ROW(fake_quant_fwd, f32, float)
ROW(fake_quant_fwd, f64, double)
ROW(fake_quant_bwd, f32, float)
ROW(fake_quant_bwd, f64, double)
ROW(clipped_sum, f32, float)
ROW(clipped_sum, f64, double)
ROW(abs_max, f32, float)
ROW(abs_max, f64, double)
ROW(min_max, f32, float)
ROW(min_max, f64, double)
ROW(weight_quant_fwd, f32, float)
#undef ROW

const char* quantile_f32_reference_why_not(const FakeQuantProblem& p) {
  return p.rank < 1 || p.rank > p.inner ? "a rank outside 1 to inner" : nullptr;
}
void quantile_f32_reference(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context&) { quantile(p, x); }
const char* sawb_top_f32_reference_why_not(const FakeQuantProblem&) { return nullptr; }
void sawb_top_f32_reference(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context&) { sawb_top(p, x); }
const char* mse_top_f32_reference_why_not(const FakeQuantProblem&) { return nullptr; }
void mse_top_f32_reference(const FakeQuantProblem& p, const FakeQuantPointers& x, const Context&) { mse_top(p, x); }

}  // namespace octet::kernels
