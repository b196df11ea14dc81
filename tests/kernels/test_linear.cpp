// linear: its rows are those of a 1x1 conv2d, so that rows and bits are compared with that room's reference.
#include "kernels/linear/linear.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

/// The three passes of linear's rows of one implementation, as run_passes does for conv2d.
ConvOutputs<float> run_linear(const char* impl, const LinearProblem& problem, const ConvInputs<float>& in) {
  const PageEnd<float> src(in.src), weight(in.weight), bias(in.bias), d_dst(in.d_dst);
  ConvOutputs<float> out{PageEnd<float>(in.d_dst), PageEnd<float>(in.src), PageEnd<float>(in.weight),
                         PageEnd<float>(in.bias)};
  LinearPointers io;
  io.src = src.data();
  io.weight = weight.data();
  io.bias = bias.data();
  io.dst = out.dst.data();
  io.d_dst = d_dst.data();
  io.d_src = out.d_src.data();
  io.d_weight = out.d_weight.data();
  io.d_bias = out.d_bias.data();
  for (const LinearRow& row : linear_rows())
    if (same_text(row.impl, impl) && same_text(row.dtypes, "f32") && row.why_not(problem) == nullptr)
      row.run(problem, io, {});
  return out;
}

constexpr LinearProblem kProblems[] = {{1, 1, 1}, {1, 10, 64}, {3, 10, 33}, {13, 33, 257}, {64, 10, 100}, {1100, 3, 5}};

ConvGeometry as_conv2d(const LinearProblem& p) { return {p.m, 1, 1, p.k, p.n, 1, 1, 1, 1, 0, 0}; }

TEST(Linear, HasTheBitsOfConv2d) {
  const ConvRoom conv{conv2d_rows(), "conv2d", false};
  for (const LinearProblem& problem : kProblems) {
    SCOPED_TRACE(problem.str());
    const ConvGeometry g = as_conv2d(problem);
    const ConvInputs<float> in = make_inputs(g, false, 5);
    const ConvOutputs<float> wanted = run_passes(conv, "reference", g, in);
    expect_same_outputs(wanted, run_linear("reference", problem, in));
    for_own_rows(linear_rows(), "linear_fwd", "f32", [&](const LinearRow& row) {
      for_threads([&] { expect_same_outputs(wanted, run_linear(row.impl, problem, in)); });
    });
  }
}

TEST(Linear, VendorRowsAreNear) {
  const ConvRoom conv{conv2d_rows(), "conv2d", false};
  for (const LinearProblem& problem : kProblems) {
    SCOPED_TRACE(problem.str());
    const ConvGeometry g = as_conv2d(problem);
    const ConvInputs<float> in = make_inputs(g, false, 6);
    for (const LinearRow& row : linear_rows()) {
      if (!is_vendor(row.impl) || !same_text(row.pass, "linear_fwd")) continue;
      const ConvOutputs<float> got = run_linear(row.impl, problem, in);
      const ConvOutputs<double> exact = run_passes(conv, "reference", g, widened(in));
      const ConvOutputs<double> magnitude = run_passes(conv, "reference", g, widened(in, true));
      expect_near(got.dst, exact.dst, magnitude.dst, problem.k, "dst");
      expect_near(got.d_src, exact.d_src, magnitude.d_src, problem.n, "d_src");
      expect_near(got.d_weight, exact.d_weight, magnitude.d_weight, problem.m, "d_weight");
      expect_near(got.d_bias, exact.d_bias, magnitude.d_bias, problem.m, "d_bias");
    }
  }
}

TEST(Linear, TellsItsProblem) { EXPECT_EQ((LinearProblem{256, 10, 1024}).str(), "m256 n10 k1024"); }

}  // namespace
}  // namespace octet::kernels
