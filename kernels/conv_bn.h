// Convolution between two batch norms that are split into it ("Restructuring batch normalization", Jung et al., MLSys
// 2019): what the rooms conv2d_bn and dwconv2d_bn share. Only raw convolution outputs z exist in memory; the affine map,
// the activation and the quantizer in front of a convolution are applied while it loads, the statistics of its own
// output are taken while it stores, and the gradient of those statistics is added while the backward pass loads.
//
//   x      = map(src) = fake_quant(act(fma(src, scale[c], shift[c])))       batchnorm.h, fake_quant.h (QuantRule::onnx)
//   fwd:     dst = conv(x, weight);  mean[k], variance[k] of dst as batchnorm_stats;  low[k], high[k] its extremes
//   bwd:     d = d_dst + fma(z_dst, slope[k], offset[k])                    d_dst alone when slope is null
//            d_weight = Σ d · x,   d_x = Σ d · weight,   g = d_x where the map passes gradients, else 0
//            d_src = g · scale[c],  d_scale[c] = Σ g · src,  d_shift[c] = Σ g       d_src = g when not mapped
// The map passes a gradient where act' is 1 and, when `masked`, lo − z ≤ t ≤ hi − z for t = act(…) / step.
// Same bits: each step rounds as the pass of its own room does (affine_act, fake_quant, conv2d or dwconv2d, batchnorm,
// channel_fma), in the same order of summation, so that fused and decomposed training agree bit for bit. The integer
// forward (dtypes u8s8, s8s8) is exact up to its one product: dst = float(Σ q_x · q_w) · multiplier[k]. Rows of bf16
// round x, d and weight to bf16 (half to even) and sum their products in f32, in any order: they are held to K·ε. What
// lies in memory, statistics and the map stay f32.
#pragma once
#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct ConvBnProblem {
  ConvGeometry geometry;
  bool mapped = false;  ///< scale and shift are given; false: the map starts at act
  Activation act = Activation::none;
  bool quantized = false;  ///< per tensor, rule onnx; zero_point, lo, hi, masked mean something only then
  std::int32_t zero_point = 0, lo = -127, hi = 127;
  bool masked = true;
  std::string str() const;
};

/// Null where a result is not wanted or an operand absent, as noted.
struct ConvBnPointers {
  const float* src = nullptr;      ///< N,H,W,C raw
  const float* scale = nullptr;    ///< C (mapped)
  const float* shift = nullptr;    ///< C (mapped)
  float step = 1;                  ///< of the quantizer
  const float* step_at = nullptr;  ///< on a device: 1, which counts instead of `step`; may be null
  float* x = nullptr;              ///< on a device: as src, or null; fwd leaves map(src) there, bwd finds it
  const float* weight = nullptr;   ///< K,R,S,C (dwconv2d: C,R,S,1); not read by the integer forward
  // forward
  float* dst = nullptr;                        ///< N,P,Q,K
  float *mean = nullptr, *variance = nullptr;  ///< K, both or neither
  float *low = nullptr, *high = nullptr;       ///< K, both or neither: least and greatest of dst, NaN when there is one
  const std::int8_t* weight_codes = nullptr;   ///< as weight (integer forward)
  const float* multiplier = nullptr;           ///< K: fl(step · weight step) (integer forward)
  // backward
  const float* d_dst = nullptr;                     ///< N,P,Q,K
  const float* z_dst = nullptr;                     ///< N,P,Q,K; read when slope is given
  const float *slope = nullptr, *offset = nullptr;  ///< K, both or neither
  float* d_src = nullptr;  ///< N,H,W,C, overwritten; null: not wanted, nor are d_scale and d_shift
  float *d_scale = nullptr, *d_shift = nullptr;  ///< C, overwritten, when mapped and d_src is wanted
  float* d_weight = nullptr;                     ///< as weight, overwritten; null: not wanted
};

using ConvBnRow = Row<ConvBnProblem, ConvBnPointers>;

}  // namespace octet::kernels
