// What a fused convolution of the device does to values (kernels/conv_bn.h): the map in front of it, and the gradient
// that comes through batch statistics. The latter is a Read: load<T>() brings what one or four neighbouring elements
// (float, float4) are made of, nothing where there are none; value() makes them, of channel k and those behind it.
#pragma once
#include "core/gpu/dialect.h"
#include "kernels/activation.h"
#include "kernels/conv_bn.h"
#include "kernels/fake_quant/element.h"

namespace octet::kernels {
namespace {

template <class T>
__device__ inline T read_at(const float* p) {
  return __ldg(reinterpret_cast<const T*>(p));
}

/// x = fake_quant(act(fma(z, scale[c], shift[c]))).
class ChannelMap {
 public:
  ChannelMap(const ConvBnProblem& p, const ConvBnPointers& io)
      : scale_(p.mapped ? io.scale : nullptr),
        shift_(io.shift),
        step_at_(io.step_at),
        step_(io.step),
        act_(p.act),
        grid_(grid_of(p)),
        quantized_(p.quantized),
        masked_(p.quantized && p.masked) {}

  /// May four channels' factors and summands be read at once?
  bool by_quads() const {
    return (reinterpret_cast<std::uintptr_t>(scale_) | reinterpret_cast<std::uintptr_t>(shift_)) % 16 == 0;
  }

  /// Factor and summand of channel c, and of the three behind it.
  __device__ float scale(int c) const { return scale_ != nullptr ? __ldg(scale_ + c) : 1.0f; }
  __device__ float shift(int c) const { return scale_ != nullptr ? __ldg(shift_ + c) : 0.0f; }
  __device__ float4 scales(int c) const {
    return scale_ != nullptr ? read_at<float4>(scale_ + c) : make_float4(1, 1, 1, 1);
  }
  __device__ float4 shifts(int c) const {
    return scale_ != nullptr ? read_at<float4>(shift_ + c) : make_float4(0, 0, 0, 0);
  }
  __device__ float value(float z, float scale, float shift) const {
    const float t = activate(affine(z, scale, shift), act_);
    if (!quantized_) return t;
    const float step = this->step();
    return value_of(grid_, code_of(grid_, t, step), step);
  }
  __device__ bool passes_gradient(float z, float scale, float shift) const {
    const float t = affine(z, scale, shift);
    return passes(t, act_) && (!masked_ || Position<float>(grid_, activate(t, act_), step()).inside());
  }

 private:
  static Grid grid_of(const ConvBnProblem& p) {
    FakeQuantProblem grid;
    grid.zero_point = p.zero_point, grid.lo = p.lo, grid.hi = p.hi;
    return Grid(grid);
  }
  __device__ float affine(float z, float scale, float shift) const {
    return scale_ != nullptr ? __fmaf_rn(z, scale, shift) : z;
  }
  __device__ float step() const { return step_at_ != nullptr ? __ldg(step_at_) : step_; }

  const float *scale_, *shift_, *step_at_;
  float step_;
  Activation act_;
  Grid grid_;
  bool quantized_, masked_;
};

/// d = d_dst + fma(z_dst, slope[k], offset[k]), or d_dst alone.
struct LateSum {
  const float *d_dst, *z, *slope, *offset;
  explicit LateSum(const ConvBnPointers& io) : d_dst(io.d_dst), z(io.z_dst), slope(io.slope), offset(io.offset) {}

  template <class T>
  struct Loaded {
    T d, z;
    bool there;
  };
  /// p: a place in d_dst.
  template <class T>
  __device__ Loaded<T> load(const float* p) const {
    Loaded<T> x{};
    if (p == nullptr) return x;
    x.d = read_at<T>(p), x.there = true;
    if (slope != nullptr) x.z = read_at<T>(z + (p - d_dst));
    return x;
  }
  __device__ float value(const Loaded<float>& x, int k) const {
    return slope == nullptr ? x.d : sum(x.d, x.z, __ldg(slope + k), __ldg(offset + k));
  }
  __device__ float4 value(const Loaded<float4>& x, int k) const {
    if (slope == nullptr) return x.d;
    const float4 by = read_at<float4>(slope + k), plus = read_at<float4>(offset + k);
    return make_float4(sum(x.d.x, x.z.x, by.x, plus.x), sum(x.d.y, x.z.y, by.y, plus.y),
                       sum(x.d.z, x.z.z, by.z, plus.z), sum(x.d.w, x.z.w, by.w, plus.w));
  }
  __device__ static float sum(float d, float z, float slope, float offset) {
    return __fadd_rn(d, __fmaf_rn(z, slope, offset));
  }
};

}  // namespace
}  // namespace octet::kernels
