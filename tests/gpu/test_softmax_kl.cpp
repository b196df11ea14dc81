#include "kernels/softmax_kl/softmax_kl.h"

#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuSoftmaxKl : public test::OnDevice {};

/// Both passes of both rows: equal bits, since sums go in the reference's order.
void expect_equal(const SoftmaxKlProblem& p, const std::vector<float>& logits, const std::vector<float>& teacher) {
  const std::size_t count = logits.size();
  const std::vector<float> d_loss{0.75f};
  std::vector<float> difference(count), loss(1), d_logits(count);
  const SoftmaxKlPointers host{logits.data(), teacher.data(), difference.data(),
                               loss.data(),   d_loss.data(),  d_logits.data()};
  Buffer<float> dlogits(logits), dteacher(teacher), ddifference(count), dloss(1), dd_loss(d_loss), dd_logits(count);
  const SoftmaxKlPointers device{dlogits.data(), dteacher.data(), ddifference.data(),
                                 dloss.data(),   dd_loss.data(),  dd_logits.data()};
  for (const char* pass : {"softmax_kl_fwd", "softmax_kl_bwd"})
    test::run_both(softmax_kl_rows(), pass, p, host, device);
  expect_same(difference, ddifference.values(), "difference " + p.str());
  expect_same(loss, dloss.values(), "loss " + p.str());
  expect_same(d_logits, dd_logits.values(), "d_logits " + p.str());
}

TEST_F(GpuSoftmaxKl, BothPassesHaveTheReferencesBits) {
  std::uint64_t seed = 1;
  for (const std::int64_t pictures : {1, 4, 35})
    for (const std::int64_t classes : {1, 10, 32, 77})
      for (const double temperature : {1.0, 4.0, 0.3})
        for (const double range : {4.0, 1e30}) {
          const auto values = [&] { return hostile::random_values<float>(pictures * classes, seed++, -range, range); };
          const std::vector<float> logits = values(), teacher = values();
          expect_equal({pictures, classes, temperature}, logits, teacher);
        }
}

TEST_F(GpuSoftmaxKl, ALossThatIsNotFiniteIsPassedOn) {
  const SoftmaxKlProblem p{5, 40, 2};
  const std::vector<float> plain = hostile::random_values<float>(p.pictures * p.classes, 4);
  for (const float lost : {std::nanf(""), INFINITY, -INFINITY})
    for (const std::size_t at : {80u, 83u, 119u}) {
      std::vector<float> logits = plain;
      logits[at] = lost;
      expect_equal(p, logits, plain);
      expect_equal(p, plain, logits);
    }
}

}  // namespace
}  // namespace octet::kernels
