// Convolution over integer codes, what the engine runs. Linear is a 1x1 convolution on a 1x1 map.
//   a[n,p,q,k]   = Σ_{r,s,c} (q_x[n, p·sh − ph + r, q·sw − pw + s, c] − z_x) · q_w[k,r,s,c] + q_b[k]      int32
// Padding is z_x, so it adds nothing. Only the true sum must fit int32 (convert proves it): every row adds modulo 2^32,
// so that the order of the sum is free and all rows are equal bit for bit. At the store (core/qmath.h):
//   codes, QuantRule::onnx    dst = requantize(a, multiplier[k], z, lo, hi)             u8 or s8; relu is in lo, hi
//   codes, QuantRule::paddle  dst = requantize_paddle(a, multiplier[k], bias_f32[k], lo, hi)
//   f32                       dst = act(float(a)·multiplier[k] + bias_f32[k])           unfused; no bias: no addition;
//                             act as in kernels/activation.h
#pragma once
#include <memory>

#include "core/dtype.h"
#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

/// What becomes of an accumulator.
struct IntStore {
  DType dst = DType::u8;              ///< u8, s8 or f32
  QuantRule rule = QuantRule::onnx;   ///< codes only
  std::int32_t z = 0;                 ///< zero point of dst; 0 under QuantRule::paddle
  std::int32_t lo = 0, hi = 255;      ///< smallest and largest code of dst, activation included
  Activation act = Activation::none;  ///< f32 only
  friend bool operator==(const IntStore&, const IntStore&) = default;
};

/// For a depthwise convolution (dwconv2d_int8.h) geometry.k == geometry.c.
struct IntConvProblem {
  ConvGeometry geometry;
  DType src = DType::u8;  ///< u8 or s8 codes
  std::int32_t z_x = 0;   ///< zero point of src, and the value of its padding
  IntStore store;
  /// What is known of the weights: few of them are so large that two neighbouring products together may leave s16
  /// (narrow_weights() of sorted_groups.h). Rows that add pairs in s16 look at it.
  bool narrow = false;
  /// No |weight| is larger. oneDNN's rows look at it: without AVX512-VNNI they add u8·s8 products by pairs in s16.
  std::int32_t largest_weight = 127;

  /// "n8 16x16x32 k64 1x1 s1x1 p0x0 u8-0 > u8 onnx"
  std::string str() const;
  friend bool operator==(const IntConvProblem&, const IntConvProblem&) = default;
};

/// Constants of a layer, one entry per output channel; read while packing only.
struct IntConvWeights {
  const std::int8_t* weight = nullptr;  ///< K,R,S,C (depthwise C,R,S,1)
  const std::int32_t* bias = nullptr;   ///< K, q_b, or null
  const float* multiplier = nullptr;    ///< K, finite: M[k] for codes, fl(s_x·s_w[k]) for f32
  const float* bias_f32 = nullptr;  ///< K or null: bias / s_y under QuantRule::paddle, bias for f32; unread under onnx
};

struct IntConvPointers {
  const void* src = nullptr;     ///< N,H,W,C codes
  const void* packed = nullptr;  ///< what the same row's pack() wrote, where the row runs, 64-byte aligned
  void* dst = nullptr;           ///< N,P,Q,K codes or f32
};

/// A Row (select.h) that packs its constants once, in host memory; a row of the device reads a copy on the device.
/// Packing and why_not do not depend on geometry.n.
struct IntConvRow {
  const char* pass;
  const char* dtypes;  ///< "u8s8" or "s8s8": src and weight
  const char* device;
  const char* impl;
  const char* (*why_not)(const IntConvProblem&);
  void (*run)(const IntConvProblem&, const IntConvPointers&, const Context&);
  std::size_t (*packed_bytes)(const IntConvProblem&);
  void (*pack)(const IntConvProblem&, const IntConvWeights&, void* packed);
};

#define OCTET_DECLARE_INT_CONV(pass, dtypes, device, impl)                                      \
  const char* pass##_##dtypes##_##impl##_why_not(const IntConvProblem&);                        \
  void pass##_##dtypes##_##impl(const IntConvProblem&, const IntConvPointers&, const Context&); \
  std::size_t pass##_##dtypes##_##impl##_packed_bytes(const IntConvProblem&);                   \
  void pass##_##dtypes##_##impl##_pack(const IntConvProblem&, const IntConvWeights&, void* packed);
#define OCTET_INT_CONV_ROW(pass, dtypes, device, impl) \
  {#pass,                                              \
   #dtypes,                                            \
   #device,                                            \
   #impl,                                              \
   pass##_##dtypes##_##impl##_why_not,                 \
   pass##_##dtypes##_##impl,                           \
   pass##_##dtypes##_##impl##_packed_bytes,            \
   pass##_##dtypes##_##impl##_pack},
#define KERNEL(...) OCTET_DECLARE_INT_CONV(__VA_ARGS__)
#include "kernels/conv2d_int8/kernels.inc"
#include "kernels/conv2d_int8/kernels_vendor.inc"
#undef KERNEL

/// Pass: conv2d_int8_fwd.
std::span<const IntConvRow> conv2d_int8_rows();
/// Vendor rows, equal to ours bit for bit where they accept: for tests and benchmarks only. May be empty.
std::span<const IntConvRow> conv2d_int8_vendor_rows();

/// A chosen row and a layer's packed constants, where the row runs. Immutable and cheap to copy: concurrent sessions
/// may share one.
class IntConvPlan {
 public:
  IntConvPlan() = default;  ///< of nothing; run() throws
  /// Packs for `row`, which must accept the problem.
  IntConvPlan(const IntConvRow& row, const IntConvProblem& problem, const IntConvWeights& weights);
  /// src N,H,W,C and dst N,P,Q,K of the problem; n pictures instead of the problem's when n > 0. The context is of the
  /// row's device.
  void run(const void* src, void* dst, std::int64_t n = 0, const Context& context = {}) const;
  const IntConvProblem& problem() const { return problem_; }
  const char* impl() const { return row_ == nullptr ? "none" : row_->impl; }
  std::size_t packed_bytes() const { return bytes_; }

 private:
  const IntConvRow* row_ = nullptr;
  IntConvProblem problem_;
  std::shared_ptr<const void> packed_;
  std::size_t bytes_ = 0;
};

/// Selects the device's best row and packs. Throws Error on impossible extents, zero points or bounds outside the
/// dtype, lo > hi, a missing or infinite multiplier, a missing weight.
IntConvPlan plan_conv2d_int8(const IntConvProblem& problem, const IntConvWeights& weights, Device device = Device::cpu);
/// The checks of plan_conv2d_int8, for whoever builds an IntConvPlan from a row; `where` names the room in the message.
void check_int_conv(const char* where, const IntConvProblem& problem, const IntConvWeights& weights);

}  // namespace octet::kernels
