// dwconv2d_act: the reference is dwconv2d_fwd and act_fwd one after the other; rows equal it bit for bit.
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"
#include "kernels/eltwise/eltwise.h"
#include "tests/kernels/conv_layers.h"
#include "tests/kernels/windows.h"

namespace octet::kernels {
namespace {

using namespace hostile;

constexpr const char* kPass = "dwconv2d_act_fwd";

/// dst of a row, from buffers that end at an unmapped page.
PageEnd<float> run_row_of(const DwConv2dActRow& row, const DwConv2dActProblem& problem, const ConvInputs<float>& in,
                          bool biased) {
  std::vector<float> taps(in.weight.size());
  dwconv2d_act_weight(problem.geometry, in.weight.data(), taps.data());
  const PageEnd<float> src(in.src), weight(taps), bias(in.bias);
  PageEnd<float> dst(std::vector<float>(in.d_dst.size(), 7e7f));
  row.run(problem, {src.data(), weight.data(), biased ? bias.data() : nullptr, dst.data()}, {});
  return dst;
}

PageEnd<float> decomposed(const DwConv2dActProblem& problem, const ConvInputs<float>& in, bool biased) {
  PageEnd<float> dst(std::vector<float>(in.d_dst.size(), 7e7f));
  Conv2dPointers io;
  io.src = in.src.data(), io.weight = in.weight.data(), io.bias = biased ? in.bias.data() : nullptr,
  io.dst = dst.data();
  reference_row(dwconv2d_rows(), "dwconv2d_fwd", "f32").run(problem.geometry, io, {});
  EltwiseProblem act;
  act.count = dst.size(), act.act = problem.act;
  reference_row(eltwise_rows(), "act_fwd", "f32").run(act, {dst.data(), nullptr, nullptr, nullptr, dst.data()}, {});
  return dst;
}

void expect_equal(const ConvGeometry& g, std::uint64_t seed, bool biased = true, bool hostile_values = false) {
  const ConvInputs<float> in = make_inputs(g, true, seed, hostile_values);
  for (const Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
    const DwConv2dActProblem problem{g, act};
    SCOPED_TRACE(problem.str() + ", seed " + std::to_string(seed));
    const PageEnd<float> wanted = decomposed(problem, in, biased);
    EXPECT_TRUE(same_bits(wanted, run_row_of(reference_row(dwconv2d_act_rows(), kPass, "f32"), problem, in, biased)));
    for_own_rows(dwconv2d_act_rows(), kPass, "f32", [&](const DwConv2dActRow& row) {
      ASSERT_EQ(row.why_not(problem), nullptr);
      for_threads([&] { EXPECT_TRUE(same_bits(wanted, run_row_of(row, problem, in, biased))) << row.impl; });
    });
  }
}

TEST(DwConv2dAct, MapsOfTheNetwork) {
  std::uint64_t seed = 1;
  for (const auto& [side, c] : {std::pair{16, 32}, {8, 128}, {4, 256}, {2, 512}, {1, 1030}})
    for (const int stride : {1, 2}) expect_equal(windowed(3, side, side, c, 3, 3, stride, 1), seed++);
}

TEST(DwConv2dAct, WindowsStridesAndChannels) {
  std::uint64_t seed = 100;
  for (const std::int64_t c : {1, 3, 7, 8, 9, 15, 16, 17, 33, 40})
    for (const std::int64_t stride : {1, 2, 3}) {
      expect_equal(windowed(2, 5, 4, c, 3, 3, stride, 1), seed++);
      expect_equal(windowed(1, 6, 6, c, 5, 5, stride, 2), seed++, false);
      expect_equal(windowed(2, 3, 3, c, 2, 1, stride, 2), seed++);
    }
}

TEST(DwConv2dAct, RandomGeometries) {
  Random random(32, Purpose::test);
  for (std::uint64_t seed = 0; seed < 40; ++seed) expect_equal(random_geometry(random, true), seed, seed % 2 == 0);
}

TEST(DwConv2dAct, HostileValuesAndNoPictures) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    expect_equal(windowed(2, 4, 4, 19, 3, 3, 1, 1), seed, true, true);
    expect_equal(windowed(2, 5, 5, 3, 5, 5, 2, 2), seed, seed % 2 == 0, true);
  }
  expect_equal(windowed(0, 4, 4, 20, 3, 3, 1, 1), 1);
}

}  // namespace
}  // namespace octet::kernels
