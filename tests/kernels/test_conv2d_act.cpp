// conv2d_act: the reference is conv2d_fwd and act_fwd one after the other; rows equal it bit for bit.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d_act/conv2d_act.h"
#include "kernels/eltwise/eltwise.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

constexpr const char* kPass = "conv2d_act_fwd";

ConvGeometry geometry(std::int64_t n, std::int64_t side, std::int64_t c, std::int64_t k, std::int64_t r, std::int64_t s,
                      std::int64_t stride, std::int64_t pad) {
  return {n, side, side, c, k, r, s, stride, stride, pad, pad};
}

/// dst of a row, from buffers that end at an unmapped page.
PageEnd<float> run_row_of(const Conv2dActRow& row, const Conv2dActProblem& problem, const ConvInputs<float>& in,
                          bool biased) {
  std::vector<float> taps(static_cast<std::size_t>(conv2d_act_weight_size(problem.geometry)));
  conv2d_act_weight(problem.geometry, in.weight.data(), taps.data());
  const PageEnd<float> src(in.src), weight(taps), bias(in.bias);
  PageEnd<float> dst(std::vector<float>(in.d_dst.size(), 7e7f));
  row.run(problem, {src.data(), weight.data(), biased ? bias.data() : nullptr, dst.data()}, {});
  return dst;
}

PageEnd<float> decomposed(const Conv2dActProblem& problem, const ConvInputs<float>& in, bool biased) {
  PageEnd<float> dst(std::vector<float>(in.d_dst.size(), 7e7f));
  Conv2dPointers io;
  io.src = in.src.data(), io.weight = in.weight.data(), io.bias = biased ? in.bias.data() : nullptr,
  io.dst = dst.data();
  reference_row(conv2d_rows(), "conv2d_fwd", "f32").run(problem.geometry, io, {});
  EltwiseProblem act;
  act.count = dst.size(), act.act = problem.act;
  reference_row(eltwise_rows(), "act_fwd", "f32").run(act, {dst.data(), nullptr, nullptr, nullptr, dst.data()}, {});
  return dst;
}

void expect_equal(const ConvGeometry& g, std::uint64_t seed, bool biased = true, bool hostile_values = false) {
  const ConvInputs<float> in = make_inputs(g, false, seed, hostile_values);
  for (const Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
    const Conv2dActProblem problem{g, act};
    SCOPED_TRACE(problem.str() + ", seed " + std::to_string(seed));
    const PageEnd<float> wanted = decomposed(problem, in, biased);
    EXPECT_TRUE(same_bits(wanted, run_row_of(reference_row(conv2d_act_rows(), kPass, "f32"), problem, in, biased)));
    for_own_rows(conv2d_act_rows(), kPass, "f32", [&](const Conv2dActRow& row) {
      ASSERT_EQ(row.why_not(problem), nullptr);
      for_threads([&] { EXPECT_TRUE(same_bits(wanted, run_row_of(row, problem, in, biased))) << row.impl; });
    });
  }
}

TEST(Conv2dAct, TailsOfRowsAndColumns) {
  std::uint64_t seed = 1;
  for (const std::int64_t n : {1, 2, 5, 6, 7, 13})
    for (const std::int64_t k : {1, 7, 8, 15, 16, 17, 33})
      expect_equal(geometry(n, 1, 19, k, 1, 1, 1, 0), seed++, k % 2 == 0);
}

TEST(Conv2dAct, DepthsAcrossBlocks) {
  for (const std::int64_t c : {511, 512, 513, 1030}) expect_equal(geometry(7, 1, c, 20, 1, 1, 1, 0), 3);
  expect_equal(geometry(2, 3, 70, 300, 3, 3, 1, 1), 4);  // 630 deep, two blocks of columns
}

TEST(Conv2dAct, WindowsAndStrides) {
  std::uint64_t seed = 100;
  for (const std::int64_t c : {1, 3, 8, 17})
    for (const std::int64_t stride : {1, 2, 3}) {
      expect_equal(geometry(2, 5, c, 9, 3, 3, stride, 1), seed++);
      expect_equal(geometry(1, 6, c, 33, 5, 2, stride, 1), seed++, false);
      expect_equal(geometry(3, 4, c, 16, 1, 1, stride, 0), seed++);
    }
}

TEST(Conv2dAct, RandomGeometries) {
  Random random(33, Purpose::test);
  for (std::uint64_t seed = 0; seed < 40; ++seed) expect_equal(random_geometry(random, false), seed, seed % 2 == 0);
}

TEST(Conv2dAct, HostileValuesAndNoPictures) {
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    expect_equal(geometry(2, 4, 5, 19, 3, 3, 1, 1), seed, seed % 2 == 0, true);
  expect_equal(geometry(0, 4, 5, 20, 3, 3, 1, 1), 1);
}

}  // namespace
}  // namespace octet::kernels
