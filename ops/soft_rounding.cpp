// What AdaRound optimises over: how far each weight is rounded up, between 0 and 1 (Nagel et al., "Up or down? Adaptive
// rounding for post-training quantization", 2020, section 3.3).
#include <algorithm>
#include <bit>
#include <cmath>

#include "core/portable_exp2.h"
#include "core/portable_math.h"
#include "kernels/block_sums.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

constexpr double kLow = -0.1, kHigh = 1.1;  // γ and ζ

void check_host(const char* where, const Variable& v) {
  detail::check_float(where, "src", v);
  OCTET_CHECK(v.value().device() == Device::cpu, where, "src lies on a device; learned rounding runs on the host");
}

// exp and powers in double go by the portable functions. In float they are loops that a compiler can make vectors of,
// from basic operations, so that every machine has the same bits: a relative error of 2e-7, which f32 does not see.

/// Of a positive, normal x.
inline float log2_of(float x) {
  constexpr std::int32_t kSqrt2 = 0x3504F3;  // mantissa of √2: above, the next power of two is nearer
  const auto bits = std::bit_cast<std::int32_t>(x);
  const std::int32_t mantissa = bits & 0x7FFFFF, up = mantissa > kSqrt2 ? 1 : 0;
  const float m = std::bit_cast<float>(mantissa | ((127 - up) << 23)), e = static_cast<float>((bits >> 23) - 127 + up);
  const float t = (m - 1) / (m + 1), z = t * t;
  return e + t * (2.88539008f + z * (0.961796694f + z * (0.577078016f + z * (0.412198583f + z * 0.320598898f))));
}

inline double sigmoid(double v) { return 1 / (1 + portable::exp(-v)); }
inline float sigmoid(float v) {
  return 1 / (1 + portable::exp2_of(std::min(std::max(-v, -80.0f), 80.0f) * 1.44269504f));
}
/// size^exponent for size in [0, 1], exponent > 0; no less than 2^-120 in float.
inline double power_of(double size, double exponent) {
  return size == 0 ? 0 : portable::exp(exponent * portable::log(size));
}
inline float power_of(float size, float exponent) {
  return portable::exp2_of(std::max(log2_of(std::max(size, 1e-30f)) * exponent, -120.0f));
}

template <class T>
Tensor sigmoids(const Tensor& v) {
  Tensor h = detail::empty_like(v);
  const T* src = v.data<T>();
  T* dst = h.data<T>();
  kernels::for_blocks(v.numel(), [=](std::int64_t begin, std::int64_t end) {
    constexpr T kWidth = static_cast<T>(kHigh - kLow), kFrom = static_cast<T>(kLow);
    for (std::int64_t i = begin; i < end; ++i)
      dst[i] = std::min(std::max(sigmoid(src[i]) * kWidth + kFrom, T(0)), T(1));
  });
  return h;
}

/// By h itself: σ' = σ·(1 − σ).
template <class T>
Tensor sigmoid_gradient(const Tensor& h, const Tensor& d_dst) {
  Tensor d = detail::empty_like(h);
  const T *value = h.data<T>(), *g = d_dst.data<T>();
  T* dst = d.data<T>();
  kernels::for_blocks(h.numel(), [=](std::int64_t begin, std::int64_t end) {
    constexpr T kWidth = static_cast<T>(kHigh - kLow), kFrom = static_cast<T>(kLow);
    for (std::int64_t i = begin; i < end; ++i) {
      const T s = (value[i] - kFrom) / kWidth, slope = s * (1 - s) * kWidth;
      dst[i] = value[i] > 0 && value[i] < 1 ? g[i] * slope : T(0);
    }
  });
  return d;
}

struct Penalty {
  double value = 0;
  Tensor slope;  ///< of each h
};

template <class T>
Penalty penalty_of(const Tensor& h, double beta) {
  Penalty penalty{0, detail::empty_like(h)};
  const T* value = h.data<T>();
  T* slope = penalty.slope.data<T>();
  penalty.value = kernels::sum_of_blocks(h.numel(), [&](std::int64_t begin, std::int64_t end) {
    const T scale = static_cast<T>(-2 * beta), exponent = static_cast<T>(beta - 1);
    for (std::int64_t i = begin; i < end; ++i) {
      const T u = 2 * value[i] - 1;
      slope[i] = std::copysign(power_of(std::abs(u), exponent), u);
    }
    double sum = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      sum += 1 - static_cast<double>(slope[i]) * (2 * value[i] - 1);
      slope[i] *= scale;
    }
    return sum;
  });
  return penalty;
}

template <class T>
Tensor scaled(const Tensor& src, double factor) {
  Tensor dst = src.clone();
  for (T& x : dst.span<T>()) x = static_cast<T>(x * factor);
  return dst;
}

}  // namespace

double inverse_rectified_sigmoid(double h) {
  const double s = (h - kLow) / (kHigh - kLow);
  return portable::log(s / (1 - s));
}

Variable rectified_sigmoid(const Variable& v) {
  check_host("rectified_sigmoid", v);
  return detail::with_float(v.value(), [&](auto kind) {
    using T = decltype(kind);
    const Tensor h = sigmoids<T>(v.value());
    return record("rectified_sigmoid", {}, {v}, h, [h](const Tensor& d_dst, const std::vector<bool>&) {
      return std::vector<Tensor>{sigmoid_gradient<T>(h, d_dst)};
    });
  });
}

Variable rounding_penalty(const Variable& h, double beta) {
  check_host("rounding_penalty", h);
  OCTET_CHECK(beta > 1, "rounding_penalty", "beta {} must be above 1", beta);
  return detail::with_float(h.value(), [&](auto kind) {
    using T = decltype(kind);
    const Penalty penalty = penalty_of<T>(h.value(), beta);
    return record("rounding_penalty", {{"beta", beta}}, {h}, Tensor::full({1}, penalty.value, h.value().dtype()),
                  [slope = penalty.slope](const Tensor& d_dst, const std::vector<bool>&) {
                    return std::vector<Tensor>{scaled<T>(slope, d_dst.item())};
                  });
  });
}

}  // namespace octet::ops
