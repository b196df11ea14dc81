// What rows of the device do with logits, a picture for each warp, in double and in the order of the reference rows.
// Included by .cu files.
#pragma once
#include <limits>

#include "core/gpu/dialect.h"
#include "core/portable_exp_log.h"

namespace octet::kernels {
namespace {

constexpr unsigned kWarps = 4;  // pictures of a block

/// sum + x of lane 0 + x of lane 1 …, `lanes` of them: the order of the reference row. Every lane gets it.
__device__ __forceinline__ double add_in_order(double sum, double x, unsigned lanes) {
  for (unsigned lane = 0; lane < lanes; ++lane) sum += __shfl_sync(gpu::kAllLanes, x, static_cast<int>(lane));
  return sum;
}

__device__ __forceinline__ double top_of(const float* logits, unsigned classes, unsigned lane) {
  // Whatever becomes of a NaN here: the sum has it too.
  double top = -std::numeric_limits<double>::infinity();
  for (unsigned j = lane; j < classes; j += 32) top = logits[j] > top ? logits[j] : top;
  for (int offset = 16; offset > 0; offset /= 2) {
    const double other = __shfl_xor_sync(gpu::kAllLanes, top, offset);
    top = other > top ? other : top;
  }
  return top;
}

__device__ __forceinline__ double log_of_sum(double sum) { return sum == sum ? portable::log_of(sum) : sum; }

/// One warp: the mean of the losses, summed in order, times a factor.
__global__ void mean_loss(const double* losses, float* loss, std::size_t pictures, double factor) {
  double sum = 0;
  for (std::size_t first = 0; first < pictures; first += 32) {
    const unsigned lanes = pictures - first < 32 ? static_cast<unsigned>(pictures - first) : 32;
    sum = add_in_order(sum, threadIdx.x < lanes ? losses[first + threadIdx.x] : 0.0, lanes);
  }
  if (threadIdx.x == 0) *loss = static_cast<float>(factor * (sum / static_cast<double>(pictures)));
}

}  // namespace
}  // namespace octet::kernels
