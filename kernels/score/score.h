// Scores of an epoch, summed where the steps run: score_add adds a batch of `pictures` to *sums.
//   loss_sum += loss · pictures (in double)   top-k hits: pictures whose label's logit is no NaN and has fewer than k classes
//   before it (rank.h)   the first batch whose loss is not finite is kept
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"
#include "kernels/score/rank.h"

namespace octet::kernels {

/// Zero bytes are the beginning of an epoch.
struct ScoreSums {
  double loss_sum = 0;
  std::int64_t pictures = 0, top1_hits = 0, top5_hits = 0;
  std::int64_t batches = 0;     ///< added so far
  double batch_loss = 0;        ///< of the last batch
  std::int64_t lost_batch = 0;  ///< counted from 1, the first one with a loss that is not finite; 0: none
  double lost_loss = 0;         ///< its loss
};

struct ScoreProblem {
  std::int64_t pictures = 1, classes = 1;
  std::string str() const;
};
struct ScorePointers {
  const float* logits = nullptr;         ///< pictures,classes
  const std::int32_t* labels = nullptr;  ///< pictures, checked by the caller
  const float* loss = nullptr;           ///< 1, the mean over the pictures
  ScoreSums* sums = nullptr;             ///< 1
};
using ScoreRow = Row<ScoreProblem, ScorePointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(ScoreProblem, ScorePointers, __VA_ARGS__)
#include "kernels/score/kernels.inc"
#undef KERNEL

/// Pass: score_add.
std::span<const ScoreRow> score_rows();

}  // namespace octet::kernels
