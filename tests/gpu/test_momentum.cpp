#include "kernels/momentum/momentum.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuMomentum : public test::OnDevice {};

/// Three steps of both rows, the buffers `off` elements behind their begin on the device; equal bits.
void expect_equal(const MomentumProblem& p, std::size_t off) {
  const auto all = p.count + static_cast<std::int64_t>(off);
  const std::vector<float> gradient = hostile::mixed_values(all, 1, 31);
  std::vector<float> velocity = hostile::random_values<float>(all, 2), weight = hostile::random_values<float>(all, 3);
  const MomentumRow* row = test::device_row(momentum_rows(), "momentum", "f32", p);
  ASSERT_NE(row, nullptr);
  Buffer<float> dgradient(gradient), dvelocity(velocity), dweight(weight);
  for (int step = 0; step < 3; ++step) {
    test::reference_row(momentum_rows(), "momentum", "f32")
        .run(p, {gradient.data() + off, velocity.data() + off, weight.data() + off}, {});
    row->run(p, {dgradient.data() + off, dvelocity.data() + off, dweight.data() + off}, context_of(Device::cuda));
  }
  test::expect_same(velocity, dvelocity.values(), "velocity " + p.str());
  test::expect_same(weight, dweight.values(), "weight " + p.str());
}

TEST_F(GpuMomentum, StepsHaveTheReferencesBits) {
  for (const std::int64_t count : {1, 4, 31, 256, 1027, 4096})
    for (const bool nesterov : {false, true})
      for (const double decay : {0.0, 4e-5})
        for (const std::size_t off : {0u, 1u}) expect_equal({count, 0.045, 0.9, decay, nesterov}, off);
}

}  // namespace
}  // namespace octet::kernels
