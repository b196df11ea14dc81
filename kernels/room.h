// How a room turns its kernels.inc into declarations and a table:
//
//   // kernels.inc, best first, `reference` last; vendor rows behind our own
//   KERNEL(conv2d_fwd, f32, cpu, avx512)
//   KERNEL(conv2d_fwd, f32, cpu, reference)
//
// Each row names two functions that its file defines:
//   const char* conv2d_fwd_f32_avx512_why_not(const Problem&);            // null, or a reason
//   void conv2d_fwd_f32_avx512(const Problem&, const Pointers&, const Context&);
//
// A room's <op>.h does, inside namespace octet::kernels, after its Problem and Pointers:
//   #define KERNEL OCTET_DECLARE_KERNEL(Conv2dProblem, Conv2dPointers) …    see conv2d/conv2d.h
#pragma once
#include "kernels/select.h"

#define OCTET_DECLARE_KERNEL(Problem, Pointers, pass, dtypes, device, impl) \
  const char* pass##_##dtypes##_##impl##_why_not(const Problem&);           \
  void pass##_##dtypes##_##impl(const Problem&, const Pointers&, const Context&);

#define OCTET_KERNEL_ROW(pass, dtypes, device, impl) \
  {#pass, #dtypes, #device, #impl, pass##_##dtypes##_##impl##_why_not, pass##_##dtypes##_##impl},

/// A row that the device has: GPU_KERNEL(conv2d_fwd, f32) in kernels.inc, its functions named by OCTET_GPU_NAME
/// (core/gpu/dialect.h) in the room's .cu file.
#if OCTET_WITH_CUDA
#define OCTET_CUDA_KERNEL(pass, dtypes) KERNEL(pass, dtypes, cuda, cuda)
#else
#define OCTET_CUDA_KERNEL(pass, dtypes)
#endif
#if OCTET_EMULATED_GPU
#define OCTET_EMULATED_KERNEL(pass, dtypes) KERNEL(pass, dtypes, cuda, emulated)
#else
#define OCTET_EMULATED_KERNEL(pass, dtypes)
#endif
#define GPU_KERNEL(pass, dtypes) OCTET_CUDA_KERNEL(pass, dtypes) OCTET_EMULATED_KERNEL(pass, dtypes)
