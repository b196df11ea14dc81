// Scores summed on a device: the row beside the reference, and beside what ops count on the host.
#include <cstring>

#include "core/random.h"
#include "kernels/score/score.h"
#include "ops/ops.h"
#include "tests/gpu/device.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuScore : public test::OnDevice {};

struct Case {
  ScoreProblem problem;
  std::vector<float> logits, loss;
  std::vector<std::int32_t> labels;
};

/// Logits of few values, so that many are equal; every ninth is a NaN or infinite.
Case batch_of(std::int64_t pictures, std::int64_t classes, std::uint64_t seed) {
  Case made{{pictures, classes}, {}, {static_cast<float>(seed) / 3}, {}};
  Random random(seed, Purpose::test);
  const float odd[] = {std::nanf(""), INFINITY, -INFINITY};
  for (std::int64_t i = 0; i < pictures * classes; ++i)
    made.logits.push_back(random.below(9) == 0 ? odd[random.below(3)] : static_cast<float>(random.below(7)) - 3);
  for (std::int64_t i = 0; i < pictures; ++i)
    made.labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
  return made;
}

std::vector<Case> batches() {
  std::vector<Case> all;
  for (const std::int64_t pictures : {1, 3, 4, 33})
    for (const std::int64_t classes : {1, 4, 10, 32, 77}) all.push_back(batch_of(pictures, classes, all.size() + 1));
  return all;
}

/// Sums after all batches, from the device's row.
ScoreSums device_sums(const std::vector<Case>& all) {
  Buffer<ScoreSums> sums(std::vector<ScoreSums>(1));
  for (const Case& batch : all) {
    Buffer<float> logits(batch.logits), loss(batch.loss);
    Buffer<std::int32_t> labels(batch.labels);
    const ScoreRow* row = test::device_row(score_rows(), "score_add", "f32", batch.problem);
    if (row != nullptr) row->run(batch.problem, {logits, labels, loss, sums}, context_of(Device::cuda));
  }
  return sums.values()[0];
}
ScoreSums reference_sums(const std::vector<Case>& all) {
  ScoreSums sums;
  for (const Case& batch : all)
    test::reference_row(score_rows(), "score_add", "f32")
        .run(batch.problem, {batch.logits.data(), batch.labels.data(), batch.loss.data(), &sums}, {});
  return sums;
}

void expect_equal(const std::vector<Case>& all) {
  const ScoreSums wanted = reference_sums(all), got = device_sums(all);
  EXPECT_EQ(std::memcmp(&wanted.loss_sum, &got.loss_sum, sizeof(double)) == 0 || std::isnan(wanted.loss_sum), true);
  EXPECT_EQ(std::isnan(wanted.loss_sum), std::isnan(got.loss_sum));
  EXPECT_EQ(wanted.pictures, got.pictures);
  EXPECT_EQ(wanted.top1_hits, got.top1_hits);
  EXPECT_EQ(wanted.top5_hits, got.top5_hits);
  EXPECT_EQ(wanted.batches, got.batches);
  EXPECT_EQ(wanted.lost_batch, got.lost_batch);
  EXPECT_TRUE(wanted.batch_loss == got.batch_loss || (std::isnan(wanted.batch_loss) && std::isnan(got.batch_loss)));
  EXPECT_TRUE(wanted.lost_loss == got.lost_loss || (std::isnan(wanted.lost_loss) && std::isnan(got.lost_loss)));
}

TEST_F(GpuScore, SumsHaveTheReferencesBits) { expect_equal(batches()); }

TEST_F(GpuScore, HitsAreThoseThatTheHostCounts) {
  for (const Case& batch : batches()) {
    const Tensor logits = Tensor::from({batch.problem.pictures, batch.problem.classes}, batch.logits);
    const Tensor labels = Tensor::from({batch.problem.pictures}, batch.labels);
    const ScoreSums sums = device_sums({batch});
    EXPECT_EQ(sums.top1_hits, ops::count_top_k(logits, labels, 1)) << batch.problem.str();
    EXPECT_EQ(sums.top5_hits, ops::count_top_k(logits, labels, 5)) << batch.problem.str();
    EXPECT_EQ(sums.pictures, batch.problem.pictures);
    EXPECT_EQ(sums.lost_batch, 0);
  }
}

TEST_F(GpuScore, TheFirstLossThatIsNotFiniteIsKept) {
  for (const float lost : {std::nanf(""), INFINITY, -INFINITY}) {
    std::vector<Case> all = batches();
    all[3].loss[0] = lost;
    all[5].loss[0] = std::nanf("");
    expect_equal(all);
    EXPECT_EQ(device_sums(all).lost_batch, 4);
  }
}

}  // namespace
}  // namespace octet::kernels
