#include "tests/gpu/probe.h"

#include "core/gpu/dialect.h"

namespace octet::test {
namespace {

constexpr unsigned kBlock = 64;

__global__ void reverse(const float* from, float* to, std::size_t count) {
  __shared__ float tile[kBlock];
  const std::size_t first = std::size_t{blockIdx.x} * kBlock;
  const std::size_t size = count - first < kBlock ? count - first : kBlock;
  if (threadIdx.x < size) tile[threadIdx.x] = from[first + threadIdx.x];
  __syncthreads();
  if (threadIdx.x < size) to[first + threadIdx.x] = tile[size - 1 - threadIdx.x];
}

__global__ void warps(const float* from, float* to) {
  const float total = gpu::warp_sum(from[blockIdx.x * 32 + threadIdx.x]);
  const float next = __shfl_down_sync(gpu::kAllLanes, from[blockIdx.x * 32 + threadIdx.x], 1);
  if (threadIdx.x == 0) to[2 * blockIdx.x] = total, to[2 * blockIdx.x + 1] = next;
}

__global__ void votes(const int* from, int* to) {
  const int yes = __syncthreads_count(from[blockIdx.x * kBlock + threadIdx.x]);
  if (threadIdx.x == 0) to[blockIdx.x] = yes;
}

__global__ void lonely(int* to) {
  if (threadIdx.x < 3) __syncthreads();
  if (threadIdx.x > 5) __syncwarp();
  to[threadIdx.x] = 1;
}

__global__ void atomically(const float* from, float* to, std::size_t count) {
  OCTET_GRID_LOOP(i, count) atomicAdd(to, from[i]);
}

}  // namespace

void OCTET_GPU_NAME(reverse_blocks)(const float* from, float* to, std::size_t count, void* stream) {
  OCTET_LAUNCH(reverse, static_cast<unsigned>((count + kBlock - 1) / kBlock), kBlock, stream, from, to, count);
}
void OCTET_GPU_NAME(warp_sums)(const float* from, float* to, std::size_t count, void* stream) {
  OCTET_LAUNCH(warps, static_cast<unsigned>(count), 32, stream, from, to);
}
void OCTET_GPU_NAME(count_votes)(const int* from, int* to, std::size_t blocks, void* stream) {
  OCTET_LAUNCH(votes, static_cast<unsigned>(blocks), kBlock, stream, from, to);
}
void OCTET_GPU_NAME(lonely_barrier)(int* to, void* stream) { OCTET_LAUNCH(lonely, 1, 32, stream, to); }
void OCTET_GPU_NAME(add_atomically)(const float* from, float* to, std::size_t count, void* stream) {
  OCTET_LAUNCH(atomically, gpu::loop_blocks(count), gpu::kLoopThreads, stream, from, to, count);
}

}  // namespace octet::test
