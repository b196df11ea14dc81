// The language of the .cu files, which two compilers read: nvcc for a device (form `cuda`), and the host's for the emulated device
// (form `emulated`, core/gpu/emulator.h). They are CUDA C++, with these rules:
//   - launches are OCTET_LAUNCH(kernel, grid, block, stream, arguments…); functions seen from outside are OCTET_GPU_NAME(name)
//   - shared memory is static; a kernel's threads either all reach a __syncthreads() or have all returned
//   - warp functions are those below and want whole warps: a block has a multiple of 32 threads in x
//   - floats are added and multiplied where rounding matters by __fadd_rn, __fmul_rn, __fmaf_rn
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#define OCTET_GPU_NAME(name) name##_cuda
#define OCTET_GPU_WHY_NOT(name) name##_cuda_why_not
#define OCTET_GPU_PACKED_BYTES(name) name##_cuda_packed_bytes
#define OCTET_GPU_PACK(name) name##_cuda_pack
#define OCTET_LAUNCH(kernel, grid, block, stream, ...)                              \
  do {                                                                              \
    kernel<<<(grid), (block), 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__); \
    ::octet::gpu::check_launch(#kernel);                                            \
  } while (false)

namespace octet::gpu {
/// Throws Error when the launch before was refused.
void check_launch(const char* kernel);
}  // namespace octet::gpu
#else
#include "core/gpu/emulator.h"
#endif

/// for i of [0, count), all threads of the grid together.
#define OCTET_GRID_LOOP(i, count)                                                                    \
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < (count); \
       i += static_cast<std::size_t>(gridDim.x) * blockDim.x)

namespace octet::gpu {
namespace {

constexpr unsigned kLoopThreads = 256;
/// Blocks of a grid loop: one thread an element, up to some waves of the largest device.
constexpr unsigned loop_blocks(std::size_t count) {
  const std::size_t blocks = (count + kLoopThreads - 1) / kLoopThreads;
  return blocks < 1 ? 1u : blocks > 4096 ? 4096u : static_cast<unsigned>(blocks);
}

constexpr unsigned kAllLanes = 0xffffffffu;

/// Sum over the lanes of a warp, in the order of a butterfly; every lane gets it.
template <class T>
__device__ inline T warp_sum(T x) {
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset);
  return x;
}

}  // namespace
}  // namespace octet::gpu
