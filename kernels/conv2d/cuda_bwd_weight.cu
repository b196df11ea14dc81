// conv2d_bwd_weight on the device: the depth are the output pixels, in chunks that depend on the problem alone.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_gemm.h"

namespace octet::kernels {
namespace {

constexpr int kSumRows = 8;  // rows of 32 threads in a block of column_sums

/// partial[chunk, col] = Σ over the rows of a chunk; a thread takes every eighth row.
__global__ void column_sums(const float* from, float* partial, int rows, int cols, int chunk_rows) {
  __shared__ float sums[kSumRows][32];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int col = static_cast<int>(blockIdx.x) * 32 + x, begin = static_cast<int>(blockIdx.y) * chunk_rows;
  const int end = min(begin + chunk_rows, rows);
  float sum = 0;
  if (col < cols) {
#pragma unroll 4
    for (int row = begin + y; row < end; row += kSumRows)
      sum = __fadd_rn(sum, __ldg(from + static_cast<std::int64_t>(row) * cols + col));
  }
  sums[y][x] = sum;
  __syncthreads();
  if (y != 0 || col >= cols) return;
  for (int i = 1; i < kSumRows; ++i) sum = __fadd_rn(sum, sums[i][x]);
  partial[static_cast<std::int64_t>(blockIdx.y) * cols + col] = sum;
}

/// d_bias[col] = Σ over rows of from[row, col].
void sum_columns(const float* from, std::int64_t rows, std::int64_t cols, float* d_bias, void* stream) {
  constexpr std::int64_t kMostChunks = 256, kLeastRows = 256;
  const std::int64_t even = (rows + kMostChunks - 1) / kMostChunks, chunk = even < kLeastRows ? kLeastRows : even;
  const std::int64_t chunks = rows == 0 ? 1 : (rows + chunk - 1) / chunk;
  const auto count = static_cast<std::size_t>(cols);
  const std::size_t bytes = static_cast<std::size_t>(chunks) * count * sizeof(float);
  auto* partial = chunks == 1 ? d_bias : static_cast<float*>(gpu::scratch_acquire(bytes));
  const dim3 grid(static_cast<unsigned>((cols + 31) / 32), static_cast<unsigned>(chunks));
  OCTET_LAUNCH(column_sums, grid, dim3(32, kSumRows), stream, from, partial, static_cast<int>(rows),
               static_cast<int>(cols), static_cast<int>(chunk));
  if (chunks == 1) return;
  add_chunks({partial, nullptr, d_bias, count, static_cast<int>(cols), static_cast<int>(chunks)}, stream);
  gpu::scratch_release(partial, bytes);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(conv2d_bwd_weight_f32)(const Conv2dProblem& g) { return too_large_for_device(g); }

void OCTET_GPU_NAME(conv2d_bwd_weight_f32)(const Conv2dProblem& g, const Conv2dPointers& io, const Context& context) {
  const auto* src = static_cast<const float*>(io.src);
  const auto* d_dst = static_cast<const float*>(io.d_dst);
  const std::int64_t pixels = g.out_pixels();
  const bool vectors = g.c % 4 == 0 && g.k % 4 == 0 && aligned(src) && aligned(d_dst);
  const auto run = [&](const auto& columns) {
    multiply(Columns{d_dst, static_cast<int>(g.k)}, columns, g.k, g.r * g.s * g.c, pixels, vectors, nullptr,
             static_cast<float*>(io.d_weight), context.stream);
  };
  if (g.is_pointwise() || pixels == 0)
    run(Columns{src, static_cast<int>(g.c)});
  else
    run(WindowColumns{Gather(g), src});
  if (io.d_bias != nullptr) sum_columns(d_dst, pixels, g.k, static_cast<float*>(io.d_bias), context.stream);
}

}  // namespace octet::kernels
