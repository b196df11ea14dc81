// The other half of "a linear model fails on the drawn pictures": MobileNetV1 learns them. Minutes, so a long test.
#include <gtest/gtest.h>

#include "nn/models.h"
#include "optim/trainer.h"

namespace octet::test {
namespace {

TEST(LongSynthetic, MobileNetV1Learns) {
  const data::Split split = data::synthetic_shapes(2026);
  optim::Trainer trainer(nn::mobilenet_v1({.scale = 0.5}));
  trainer.prepare({{0.1, 0.9, 0, false}, optim::ScheduleKind::cosine, 0});
  optim::FitOptions options;
  options.epochs = 5;
  options.loader.batch_size = 128;
  trainer.fit(split.train, options);
  const optim::Scores scores = trainer.evaluate(split.test);
  EXPECT_GT(scores.top1(), 0.6);
  RecordProperty("top1", std::to_string(scores.top1()));
}

}  // namespace
}  // namespace octet::test
