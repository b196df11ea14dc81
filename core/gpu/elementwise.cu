#include "core/gpu/elementwise.h"

#include "core/gpu/dialect.h"

namespace octet::gpu {
namespace {

template <class T>
__global__ void fill(T* to, T value, std::size_t count) {
  OCTET_GRID_LOOP(i, count) to[i] = value;
}

__global__ void sum(float* to, const float* a, const float* b, std::size_t count) {
  OCTET_GRID_LOOP(i, count) to[i] = a[i] + b[i];
}

}  // namespace

void OCTET_GPU_NAME(fill_f32)(float* to, float value, std::size_t count, void* stream) {
  OCTET_LAUNCH(fill<float>, loop_blocks(count), kLoopThreads, stream, to, value, count);
}
void OCTET_GPU_NAME(fill_s32)(int* to, int value, std::size_t count, void* stream) {
  OCTET_LAUNCH(fill<int>, loop_blocks(count), kLoopThreads, stream, to, value, count);
}
void OCTET_GPU_NAME(sum_f32)(float* to, const float* a, const float* b, std::size_t count, void* stream) {
  OCTET_LAUNCH(sum, loop_blocks(count), kLoopThreads, stream, to, a, b, count);
}

}  // namespace octet::gpu
