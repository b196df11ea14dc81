// How a block of the device's matrix product brings its operands (cuda_operands.h) to shared memory.
#pragma once
#include <type_traits>

#include "kernels/conv2d/cuda_operands.h"
#include "kernels/conv2d/gemm_plan.h"

namespace octet::kernels {
namespace {

/// A block's part of one operand: kOuter lines by Layout::kStep of the depth, brought from memory through registers to
/// shared memory, where it lies as Layout has it:
///   Element, size     of a buffer
///   put(tile, outer, depth, x)   a quad along the depth, or across it
template <class Operand, int kOuter, bool kVectors, class Layout>
class TileOfOperand {
  static constexpr int kStep = Layout::kStep;
  static constexpr int kQuads = kOuter * kStep / 4 / kGemmThreads;
  static constexpr bool kAlongDepth = Operand::kAlongDepth;

 public:
  using Element = typename Layout::Element;
  static_assert(kQuads > 0 || kOuter * kStep == kGemmThreads * 2);

  __device__ TileOfOperand(const Operand& operand, int first) : operand_(operand), first_(first) {
    if constexpr (kVectors)
      for (int i = 0; i < kLines; ++i) lines_[i] = operand_.line(first_ + outer_of(i));
  }
  /// Brings depths [d0, d0 + kStep), zero from `end` on.
  __device__ void fetch(int d0, int end) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      loaded_[i] = {};
      if (!active()) continue;
      const int d = d0 + depth_of(i);
      if constexpr (kVectors) {
        if (d < end) loaded_[i].quad = operand_.quad(lines_[kAlongDepth ? i : 0], d);
      } else {
#pragma unroll
        for (int v = 0; v < 4; ++v)
          if (depth_at(d, v) < end) loaded_[i].ones[v] = operand_.at(outer_at(i, v), depth_at(d, v));
      }
    }
  }
  /// What fetch(d0, …) has brought.
  __device__ void put(Element* tile, int d0) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      if (active()) Layout::put(tile, outer_of(i), depth_of(i), values(i, d0 + depth_of(i)));
  }

 private:
  static constexpr int kCount = kQuads > 0 ? kQuads : 1, kLines = kAlongDepth ? kCount : 1;
  /// A small tile has work for half of the threads.
  __device__ static bool active() { return kQuads > 0 || threadIdx.x < kOuter * kStep / 4; }
  // Along the depth, two neighbouring threads read a sector of 32 bytes of a line, and a warp's 16 lines by 2 quads go
  // to 32 banks; across, a warp reads and writes lines of 512 bytes.
  __device__ static int outer_of(int i) {
    const int t = static_cast<int>(threadIdx.x) + i * kGemmThreads;
    if constexpr (kAlongDepth) return t / 32 / (kStep / 8) * 16 + t % 32 / 2;
    return t % (kOuter / 4) * 4;
  }
  __device__ static int depth_of(int i) {
    const int t = static_cast<int>(threadIdx.x) + i * kGemmThreads;
    if constexpr (kAlongDepth) return t / 32 % (kStep / 8) * 8 + t % 2 * 4;
    return t / (kOuter / 4);
  }
  /// Line and depth of element v of a quad.
  __device__ int outer_at(int i, int v) const { return first_ + outer_of(i) + (kAlongDepth ? 0 : v); }
  __device__ static int depth_at(int d, int v) { return d + (kAlongDepth ? v : 0); }
  /// The quad whose first element is of depth d.
  __device__ float4 values(int i, int d) const {
    if constexpr (!kVectors)
      return make_float4(value(i, d, 0), value(i, d, 1), value(i, d, 2), value(i, d, 3));
    else if constexpr (kFinishes)
      return operand_.finish(loaded_[i].quad, lines_[kAlongDepth ? i : 0], d);
    else
      return loaded_[i].quad;
  }
  __device__ float value(int i, int d, int v) const {
    if constexpr (kFinishes)
      return operand_.finish(loaded_[i].ones[v], outer_at(i, v), depth_at(d, v));
    else
      return loaded_[i].ones[v];
  }

  using One = typename LoadedBy<Operand>::One;
  using Quad = typename LoadedBy<Operand>::Quad;
  static constexpr bool kFinishes = !std::is_same_v<Quad, float4>;
  struct ByQuads {
    Quad quad;
  };
  struct ByOnes {
    One ones[4];
  };

  const Operand& operand_;
  int first_;
  std::conditional_t<kVectors, ByQuads, ByOnes> loaded_[kCount] = {};
  typename Operand::Line lines_[kLines];  // across the depth all quads of a thread are of the same lines
};

}  // namespace
}  // namespace octet::kernels
