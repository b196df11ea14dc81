#include <cmath>

#include "kernels/score/score.h"

namespace octet::kernels {

const char* score_add_f32_reference_why_not(const ScoreProblem&) { return nullptr; }
void score_add_f32_reference(const ScoreProblem& p, const ScorePointers& x, const Context&) {
  ScoreSums& sums = *x.sums;
  for (std::int64_t i = 0; i < p.pictures; ++i) {
    const float* row = x.logits + i * p.classes;
    const std::int64_t label = x.labels[i];
    if (std::isnan(row[label])) continue;
    std::int64_t before = 0;
    for (std::int64_t j = 0; j < p.classes; ++j) before += ranks_before(row[j], j, row[label], label);
    sums.top1_hits += before < 1;
    sums.top5_hits += before < 5;
  }
  const double loss = *x.loss;
  sums.loss_sum += loss * static_cast<double>(p.pictures);
  sums.pictures += p.pictures;
  ++sums.batches;
  sums.batch_loss = loss;
  if (std::isfinite(loss) || sums.lost_batch != 0) return;
  sums.lost_batch = sums.batches, sums.lost_loss = loss;
}

}  // namespace octet::kernels
