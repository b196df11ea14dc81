#include "core/gpu/dialect.h"
#include "kernels/score/score.h"

namespace octet::kernels {
namespace {

constexpr unsigned kWarps = 4;  // pictures of a block

__device__ __forceinline__ void add_one(std::int64_t* to) {
  atomicAdd(reinterpret_cast<unsigned long long*>(to), 1ull);
}

/// What a batch adds beside its hits; one thread of the grid does it.
__device__ __forceinline__ void add_loss(ScoreSums& sums, double loss, int pictures) {
  sums.loss_sum = __dadd_rn(sums.loss_sum, __dmul_rn(loss, static_cast<double>(pictures)));
  sums.pictures += pictures;
  ++sums.batches;
  sums.batch_loss = loss;
  if (loss - loss == 0 || sums.lost_batch != 0) return;
  sums.lost_batch = sums.batches, sums.lost_loss = loss;
}

/// A picture for each warp. Hits are counted by atomics: integers add up alike in any order.
__global__ void add_batch(ScorePointers x, int pictures, int classes) {
  if (blockIdx.x == 0 && threadIdx.x == 0) add_loss(*x.sums, *x.loss, pictures);
  const int picture = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32),
            lane = static_cast<int>(threadIdx.x % 32);
  if (picture >= pictures) return;  // a whole warp
  const float* row = x.logits + static_cast<std::size_t>(picture) * classes;
  const int label = x.labels[picture];
  const float of_label = row[label];
  if (of_label != of_label) return;
  int before = 0;
  for (int j = lane; j < classes; j += 32) before += ranks_before(row[j], j, of_label, label);
  before = gpu::warp_sum(before);
  if (lane != 0) return;
  if (before < 1) add_one(&x.sums->top1_hits);
  if (before < 5) add_one(&x.sums->top5_hits);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(score_add_f32)(const ScoreProblem& p) {
  return p.classes > 0x7fffffff - 32 || p.pictures > 0x7fffffff - 32 ? "more than 2^31 - 33 classes or pictures"
                                                                     : nullptr;
}
void OCTET_GPU_NAME(score_add_f32)(const ScoreProblem& p, const ScorePointers& x, const Context& context) {
  OCTET_LAUNCH(add_batch, static_cast<unsigned>((p.pictures + kWarps - 1) / kWarps), kWarps * 32, context.stream, x,
               static_cast<int>(p.pictures), static_cast<int>(p.classes));
}

}  // namespace octet::kernels
