#include "kernels/eltwise/eltwise.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuEltwise : public test::OnDevice {};

/// Runs both rows and demands equal bits: each element is one operation or one FMA.
void expect_equal(const char* pass, const EltwiseProblem& problem, std::uint64_t seed, bool with_b) {
  const auto count = static_cast<std::size_t>(problem.count);
  auto a = hostile::random_values<float>(problem.count, seed, -3, 8),
       b = hostile::random_values<float>(problem.count, seed + 1, -3, 8);
  const auto scale = hostile::random_values<float>(problem.c, seed + 2),
             shift = hostile::random_values<float>(problem.c, seed + 3);
  a[0] = std::nanf("");
  b[count / 2] = INFINITY;
  std::vector<float> wanted(count);
  test::reference_row(eltwise_rows(), pass, "f32")
      .run(problem, {a.data(), with_b ? b.data() : nullptr, scale.data(), shift.data(), wanted.data()}, {});
  const auto* row = test::device_row(eltwise_rows(), pass, "f32", problem);
  ASSERT_NE(row, nullptr);
  Buffer<float> da(a), db(b), dscale(scale), dshift(shift), dst(count);
  row->run(problem, {da, with_b ? db.data() : nullptr, dscale, dshift, dst}, context_of(Device::cuda));
  test::expect_same(wanted, dst.values(), std::string(pass) + ' ' + problem.str());
  // In place.
  row->run(problem, {da, with_b ? db.data() : nullptr, dscale, dshift, da}, context_of(Device::cuda));
  test::expect_same(wanted, da.values(), std::string(pass) + " in place");
}

TEST_F(GpuEltwise, EveryPassHasTheReferencesBits) {
  std::uint64_t seed = 1;
  for (const char* pass : {"add_fwd", "mul_fwd", "act_fwd", "act_bwd", "channel_fma_fwd"})
    for (std::int64_t count : {1, 31, 32, 33, 256, 257, 10007})
      for (Activation act : {Activation::none, Activation::relu, Activation::relu6})
        expect_equal(pass, {count, 1, act}, seed++, true);
}

TEST_F(GpuEltwise, ChannelsRepeat) {
  for (std::int64_t c : {1, 3, 32, 100}) {
    expect_equal("channel_fma_fwd", {7 * c, c, Activation::none}, 50, true);
    expect_equal("channel_fma_fwd", {7 * c, c, Activation::none}, 51, false);
  }
}

}  // namespace
}  // namespace octet::kernels
