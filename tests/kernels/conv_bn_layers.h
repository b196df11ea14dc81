// Fused layers of conv2d_bn and dwconv2d_bn for their tests: one run of a row in buffers that end at an unmapped page,
// and what all rows must agree on.
#pragma once
#include <string>

#include "kernels/conv_bn.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels::hostile {

/// The rooms share problem and pointers, not rows, pass names and weight shapes.
struct ConvBnRoom {
  std::span<const ConvBnRow> rows;
  const char* name;
  bool depthwise;
  std::string pass(const char* which) const { return std::string(name) + "_" + which; }
  std::int64_t weight_count(const ConvGeometry& g) const { return g.k * g.r * g.s * (depthwise ? 1 : g.c); }
};

/// Which operands and results a call has.
struct ConvBnCase {
  ConvBnProblem problem;
  float step = 0.02f;
  bool statistics = true, extremes = true;          // forward
  bool late = true, d_src = true, d_weight = true;  // backward
  std::string str() const {
    return problem.str() + (statistics ? "" : " no statistics") + (extremes ? "" : " no extremes") +
           (late ? "" : " not late") + (d_src ? "" : " no d_src") + (d_weight ? "" : " no d_weight");
  }
};

struct ConvBnInputs {
  std::vector<float> src, scale, shift, weight, d_dst, z_dst, slope, offset, multiplier;
  std::vector<std::int8_t> codes;
};
inline ConvBnInputs make_inputs(const ConvBnRoom& room, const ConvGeometry& g, std::uint64_t seed, bool hostile) {
  const auto draw = [&](std::int64_t count, std::uint64_t stream) {
    return hostile ? mixed_values(count, seed * 16 + stream, 41) : random_values(count, seed * 16 + stream);
  };
  const std::int64_t weights = room.weight_count(g), dst = g.out_pixels() * g.k;
  ConvBnInputs in{draw(g.n * g.h * g.w * g.c, 1),
                  draw(g.c, 2),
                  draw(g.c, 3),
                  draw(weights, 4),
                  draw(dst, 5),
                  draw(dst, 6),
                  draw(g.k, 7),
                  draw(g.k, 8),
                  random_values(g.k, seed * 16 + 9, 1e-5, 1e-3),
                  {}};
  for (float w : random_values(weights, seed * 16 + 10, -127.49, 127.49))
    in.codes.push_back(static_cast<std::int8_t>(std::rint(w)));
  return in;
}

struct ConvBnOutputs {
  PageEnd<float> dst, mean, variance, low, high, d_src, d_scale, d_shift, d_weight;
};

/// Runs `row` (forward or backward); outputs start as rubbish, so that what is not written shows.
inline ConvBnOutputs run_row(const ConvBnRow& row, const ConvBnCase& c, const ConvBnInputs& in) {
  const PageEnd<float> src(in.src), scale(in.scale), shift(in.shift), weight(in.weight), d_dst(in.d_dst),
      z_dst(in.z_dst);
  const PageEnd<float> slope(in.slope), offset(in.offset), multiplier(in.multiplier);
  const PageEnd<std::int8_t> codes(in.codes);
  const auto rubbish = [](std::size_t count) { return PageEnd<float>(std::vector<float>(count, 7e7f)); };
  const std::size_t k = in.slope.size(), channels = in.scale.size();
  ConvBnOutputs out{rubbish(in.d_dst.size()),
                    rubbish(k),
                    rubbish(k),
                    rubbish(k),
                    rubbish(k),
                    rubbish(in.src.size()),
                    rubbish(channels),
                    rubbish(channels),
                    rubbish(in.weight.size())};
  ConvBnPointers io;
  io.src = src.data(), io.step = c.step, io.weight = weight.data();
  if (c.problem.mapped) io.scale = scale.data(), io.shift = shift.data();
  io.dst = out.dst.data();
  if (c.statistics) io.mean = out.mean.data(), io.variance = out.variance.data();
  if (c.extremes) io.low = out.low.data(), io.high = out.high.data();
  io.weight_codes = codes.data(), io.multiplier = multiplier.data();
  io.d_dst = d_dst.data();
  if (c.late) io.z_dst = z_dst.data(), io.slope = slope.data(), io.offset = offset.data();
  if (c.d_src) io.d_src = out.d_src.data();
  if (c.d_src && c.problem.mapped) io.d_scale = out.d_scale.data(), io.d_shift = out.d_shift.data();
  if (c.d_weight) io.d_weight = out.d_weight.data();
  row.run(c.problem, io, {});
  return out;
}

inline void expect_same_outputs(const ConvBnOutputs& wanted, const ConvBnOutputs& got) {
  EXPECT_TRUE(same_bits(wanted.dst, got.dst)) << "dst";
  EXPECT_TRUE(same_bits(wanted.mean, got.mean)) << "mean";
  EXPECT_TRUE(same_bits(wanted.variance, got.variance)) << "variance";
  EXPECT_TRUE(same_bits(wanted.low, got.low)) << "low";
  EXPECT_TRUE(same_bits(wanted.high, got.high)) << "high";
  EXPECT_TRUE(same_bits(wanted.d_src, got.d_src)) << "d_src";
  EXPECT_TRUE(same_bits(wanted.d_scale, got.d_scale)) << "d_scale";
  EXPECT_TRUE(same_bits(wanted.d_shift, got.d_shift)) << "d_shift";
  EXPECT_TRUE(same_bits(wanted.d_weight, got.d_weight)) << "d_weight";
}

inline const ConvBnRow& reference_row(const ConvBnRoom& room, const std::string& pass, const char* dtypes) {
  for (const ConvBnRow& row : room.rows)
    if (pass == row.pass && same_text(row.dtypes, dtypes) && same_text(row.impl, "reference")) return row;
  throw std::runtime_error("no reference row for " + pass);
}

/// Own rows that accept the case give the bits of the reference under 1, 2 and 3 threads. Returns how many accepted.
inline int expect_rows_equal(const ConvBnRoom& room, const char* which, const char* dtypes, const ConvBnCase& c,
                             std::uint64_t seed, bool hostile = false) {
  SCOPED_TRACE(room.pass(which) + " " + dtypes + " " + c.str() + ", seed " + std::to_string(seed));
  const ConvBnInputs in = make_inputs(room, c.problem.geometry, seed, hostile);
  const std::string pass = room.pass(which);
  const ConvBnOutputs wanted = run_row(reference_row(room, pass, dtypes), c, in);
  int accepted = 0;
  for_own_rows(room.rows, pass.c_str(), dtypes, [&](const ConvBnRow& row) {
    if (row.why_not(c.problem) != nullptr) return;
    ++accepted;
    for_threads([&] { expect_same_outputs(wanted, run_row(row, c, in)); });
  });
  return accepted;
}

/// Rows of bf16 operands: the same products, sums in another order. Operands within ±1, so that no order comes near the bound; one
/// product left out would.
template <class Got>
void expect_near_bf16(const PageEnd<float>& wanted, const Got& got, const char* what) {
  for (std::int64_t i = 0; i < wanted.size(); ++i) {
    const float there = std::data(got)[i];
    ASSERT_NEAR(wanted[i], there, 1e-4 + 1e-5 * std::fabs(wanted[i])) << what << " at " << i;
  }
  if constexpr (requires { got.intact(); }) {
    EXPECT_TRUE(got.intact()) << what;
  }
}

/// Every kind of map over `g`: act, affine or not, quantized or not.
template <class F>
void for_maps(const ConvGeometry& g, F f) {
  for (bool mapped : {false, true})
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6})
      for (int grid : {0, 1, 2, 3}) {
        ConvBnCase c;
        c.problem.geometry = g, c.problem.mapped = mapped, c.problem.act = act, c.problem.quantized = grid > 0;
        if (grid == 1) c.problem.lo = 0, c.problem.hi = 255, c.step = 0.003f;
        if (grid == 2) c.problem.lo = -127, c.problem.hi = 127, c.problem.masked = false;
        if (grid == 3) c.problem.lo = 0, c.problem.hi = 15, c.problem.zero_point = 5, c.step = 0.1f;
        f(c);
      }
}

}  // namespace octet::kernels::hostile
