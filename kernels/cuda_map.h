// What a fused convolution of the device does to values while it loads them (kernels/conv_bn.h): the map in front of
// it, and the gradient that comes through batch statistics.
#pragma once
#include "core/gpu/dialect.h"
#include "kernels/activation.h"
#include "kernels/conv_bn.h"
#include "kernels/fake_quant/element.h"

namespace octet::kernels {
namespace {

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

  /// Factor and summand of channel c.
  __device__ float scale(int c) const { return scale_ != nullptr ? __ldg(scale_ + c) : 1.0f; }
  __device__ float shift(int c) const { return scale_ != nullptr ? __ldg(shift_ + c) : 0.0f; }
  __device__ float value(float z, float scale, float shift) const {
    const float t = activate(affine(z, scale, shift), act_);
    if (!quantized_) return t;
    const float step = this->step();
    return value_of(grid_, code_of(grid_, t, step), step);
  }
  __device__ float value(float z, int c) const { return value(z, scale(c), shift(c)); }
  __device__ bool passes_gradient(float z, int c) const {
    const float t = affine(z, scale(c), shift(c));
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
  /// Of element i, which is of channel k.
  __device__ float at(std::int64_t i, int k) const {
    const float d = __ldg(d_dst + i);
    return slope == nullptr ? d : __fadd_rn(d, __fmaf_rn(__ldg(z + i), __ldg(slope + k), __ldg(offset + k)));
  }
};

}  // namespace
}  // namespace octet::kernels
