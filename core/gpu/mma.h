// Tensor cores, in the dialect of the .cu files (dialect.h): fragments of 8x8 matrices in a warp's registers, as PTX
// has them ("Matrix multiply-accumulate operation using mma instruction"): of a row-major matrix, lane l has the
// elements 2·(l % 4) and the next one of row l / 4. All functions want whole warps. Compute capability 8.0.
#pragma once
#include "core/gpu/dialect.h"
#if !defined(__CUDACC__)
#include "core/gpu/emulated_mma.h"
#endif

namespace octet::gpu {
namespace {

/// Two floats as bf16, half to even, the first in the low half.
__device__ inline unsigned bf16_pair(float low, float high) {
#if defined(__CUDACC__)
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return emulator::to_bf16(low) | emulator::to_bf16(high) << 16;
#endif
}

/// Four 8x8 matrices of two-byte elements from shared memory: lane l points to row l % 8 of matrix l / 8, 16 bytes
/// aligned to them. Transposed: the fragments of the matrices' transposes.
template <bool kTransposed>
__device__ inline void load_matrices(unsigned (&to)[4], const void* row) {
#if defined(__CUDACC__)
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
#else
  emulator::load_matrices(to, row, kTransposed);
#endif
}

/// sum (16x8) += a (16x16, row-major: matrices top left, bottom left, top right, bottom right) · b (16x8, column-major:
/// upper, lower), products of bf16 exact, sums in f32 in an order of the device's own.
__device__ inline void mma_bf16(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  emulator::mma_bf16(sum, a, b0, b1);
#endif
}

/// The same for s8: sum (16x8) += a (16x32) · b (32x8), four neighbours of the depth to a register, exact while sums
/// fit.
__device__ inline void mma_s8(int (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  emulator::mma_s8(sum, a, b0, b1);
#endif
}

}  // namespace
}  // namespace octet::gpu
