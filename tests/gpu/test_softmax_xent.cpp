#include "kernels/softmax_xent/softmax_xent.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuSoftmaxXent : public test::OnDevice {};

/// Both passes of both rows: equal bits, since sums go in the reference's order.
void expect_equal(const SoftmaxXentProblem& p, const std::vector<float>& logits) {
  const std::size_t count = logits.size();
  std::vector<std::int32_t> labels(static_cast<std::size_t>(p.pictures));
  for (std::size_t i = 0; i < labels.size(); ++i)
    labels[i] = static_cast<std::int32_t>((i * 7 + 3) % static_cast<std::size_t>(p.classes));
  const std::vector<float> d_loss{0.75f};
  std::vector<float> probabilities(count), loss(1), d_logits(count);
  const SoftmaxXentPointers host{logits.data(), labels.data(), probabilities.data(),
                                 loss.data(),   d_loss.data(), d_logits.data()};
  Buffer<float> dlogits(logits), dprobabilities(count), dloss(1), dd_loss(d_loss), dd_logits(count);
  Buffer<std::int32_t> dlabels(labels);
  const SoftmaxXentPointers device{dlogits.data(), dlabels.data(), dprobabilities.data(),
                                   dloss.data(),   dd_loss.data(), dd_logits.data()};
  for (const char* pass : {"softmax_xent_fwd", "softmax_xent_bwd"})
    test::run_both(softmax_xent_rows(), pass, p, host, device);
  expect_same(probabilities, dprobabilities.values(), "probabilities " + p.str());
  expect_same(loss, dloss.values(), "loss " + p.str());
  expect_same(d_logits, dd_logits.values(), "d_logits " + p.str());
}

TEST_F(GpuSoftmaxXent, BothPassesHaveTheReferencesBits) {
  std::uint64_t seed = 1;
  for (const std::int64_t pictures : {1, 4, 35})
    for (const std::int64_t classes : {1, 10, 32, 77})
      for (const double smoothing : {0.0, 0.1})
        for (const double range : {4.0, 1e30})
          expect_equal({pictures, classes, smoothing},
                       hostile::random_values<float>(pictures * classes, seed++, -range, range));
}

TEST_F(GpuSoftmaxXent, ALossThatIsNotFiniteIsPassedOn) {
  const SoftmaxXentProblem p{5, 40, 0.1};
  for (const float lost : {std::nanf(""), INFINITY, -INFINITY})
    for (const std::size_t at : {80u, 83u, 119u}) {
      std::vector<float> logits = hostile::random_values<float>(p.pictures * p.classes, 3);
      logits[at] = lost;
      expect_equal(p, logits);
      expect_equal({5, 40, 0}, logits);
    }
  expect_equal(p, std::vector<float>(200, -INFINITY));
  expect_equal(p, std::vector<float>(200, INFINITY));
}

}  // namespace
}  // namespace octet::kernels
