// Layers of conv2d and dwconv2d for their tests: inputs, one run of a row in buffers that end at an unmapped page, and
// what all rows must agree on.
#pragma once
#include <algorithm>
#include <string>

#include "kernels/conv2d/conv2d.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels::hostile {

/// The two rooms share problem and pointers, not rows and pass names.
struct ConvRoom {
  std::span<const Conv2dRow> rows;
  const char* name;
  bool depthwise;
  std::string pass(const char* which) const { return std::string(name) + "_" + which; }
};

template <class T>
struct ConvInputs {
  std::vector<T> src, weight, bias, d_dst;
};
template <class T>
struct ConvOutputs {
  PageEnd<T> dst, d_src, d_weight, d_bias;
};

inline std::int64_t weight_count(const ConvGeometry& g, bool depthwise) {
  return g.k * g.r * g.s * (depthwise ? 1 : g.c);
}

inline ConvInputs<float> make_inputs(const ConvGeometry& g, bool depthwise, std::uint64_t seed, bool hostile = false) {
  const auto draw = [&](std::int64_t count, std::uint64_t stream) {
    return hostile ? mixed_values(count, seed * 8 + stream, 11) : random_values(count, seed * 8 + stream);
  };
  return {draw(g.n * g.h * g.w * g.c, 1), draw(weight_count(g, depthwise), 2), draw(g.k, 3),
          draw(g.out_pixels() * g.k, 4)};
}
inline std::vector<double> widened(const std::vector<float>& values, bool absolute = false) {
  std::vector<double> wide(values.begin(), values.end());
  if (absolute)
    for (double& v : wide) v = std::fabs(v);
  return wide;
}
inline ConvInputs<double> widened(const ConvInputs<float>& in, bool absolute = false) {
  return {widened(in.src, absolute), widened(in.weight, absolute), widened(in.bias, absolute),
          widened(in.d_dst, absolute)};
}

/// The row of `impl`, or null when the table has none.
inline const Conv2dRow* find_row(const ConvRoom& room, const std::string& pass, const char* dtypes, const char* impl) {
  for (const Conv2dRow& row : room.rows)
    if (pass == row.pass && same_text(row.dtypes, dtypes) && same_text(row.impl, impl)) return &row;
  return nullptr;
}

/// All three passes by rows of one implementation; outputs start as rubbish.
template <class T>
ConvOutputs<T> run_passes(const ConvRoom& room, const char* impl, const ConvGeometry& g, const ConvInputs<T>& in,
                          bool biased = true) {
  const PageEnd<T> src(in.src), weight(in.weight), bias(in.bias), d_dst(in.d_dst);
  const std::vector<T> rubbish(std::max({in.src.size(), in.weight.size(), in.bias.size(), in.d_dst.size()}), T(7e7));
  const auto sized = [&](const std::vector<T>& like) {
    return PageEnd<T>(std::vector<T>(rubbish.begin(), rubbish.begin() + static_cast<std::ptrdiff_t>(like.size())));
  };
  ConvOutputs<T> out{sized(in.d_dst), sized(in.src), sized(in.weight), sized(in.bias)};
  Conv2dPointers io;
  io.src = src.data();
  io.weight = weight.data();
  io.bias = biased ? bias.data() : nullptr;
  io.dst = out.dst.data();
  io.d_dst = d_dst.data();
  io.d_src = out.d_src.data();
  io.d_weight = out.d_weight.data();
  io.d_bias = biased ? out.d_bias.data() : nullptr;
  const char* dtypes = sizeof(T) == sizeof(float) ? "f32" : "f64";
  for (const char* which : {"fwd", "bwd_data", "bwd_weight"}) {
    const Conv2dRow* row = find_row(room, room.pass(which), dtypes, impl);
    if (row != nullptr && row->why_not(g) == nullptr) row->run(g, io, {});
  }
  return out;
}

template <class T>
void expect_same_outputs(const ConvOutputs<T>& wanted, const ConvOutputs<T>& got) {
  EXPECT_TRUE(same_bits(wanted.dst, got.dst)) << "dst";
  EXPECT_TRUE(same_bits(wanted.d_src, got.d_src)) << "d_src";
  EXPECT_TRUE(same_bits(wanted.d_weight, got.d_weight)) << "d_weight";
  EXPECT_TRUE(same_bits(wanted.d_bias, got.d_bias)) << "d_bias";
}

/// Own rows give the bits of the reference under 1, 2 and 3 threads.
inline void expect_rows_equal(const ConvRoom& room, const ConvGeometry& g, std::uint64_t seed, bool biased = true,
                              bool hostile = false) {
  SCOPED_TRACE(g.str() + ", seed " + std::to_string(seed));
  const ConvInputs<float> in = make_inputs(g, room.depthwise, seed, hostile);
  const ConvOutputs<float> wanted = run_passes(room, "reference", g, in, biased);
  for_own_rows(room.rows, room.pass("fwd").c_str(), "f32", [&](const Conv2dRow& row) {
    ASSERT_EQ(row.why_not(g), nullptr);
    for_threads([&] { expect_same_outputs(wanted, run_passes(room, row.impl, g, in, biased)); });
  });
}

/// Σ a·b.
inline double dot(const PageEnd<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < b.size(); ++i) sum += a[static_cast<std::int64_t>(i)] * b[i];
  return sum;
}

/// The passes are one bilinear map and its two adjoints: <conv(x, w), d> = <x, bwd_data(d)> = <w, bwd_weight(d)>, in
/// f64.
inline void expect_adjoint(const ConvRoom& room, const ConvGeometry& g, std::uint64_t seed) {
  SCOPED_TRACE(g.str() + ", seed " + std::to_string(seed));
  const ConvInputs<double> in = widened(make_inputs(g, room.depthwise, seed));
  const ConvOutputs<double> out = run_passes(room, "reference", g, in, false);
  const double forward = dot(out.dst, in.d_dst), scale = 1e-12 * static_cast<double>(in.d_dst.size() + 1);
  EXPECT_NEAR(forward, dot(out.d_src, in.src), scale);
  EXPECT_NEAR(forward, dot(out.d_weight, in.weight), scale);
}

/// |got − exact| <= 4 · terms · eps · Σ|a||b|: what a row may do that sums in another order.
inline void expect_near(const PageEnd<float>& got, const PageEnd<double>& exact, const PageEnd<double>& magnitude,
                        std::int64_t terms, const char* what) {
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double bound = 4.0 * static_cast<double>(terms + 1) * 6e-8 * magnitude[i] + 1e-30;
    ASSERT_LE(std::fabs(static_cast<double>(got[i]) - exact[i]), bound) << what << " at " << i;
  }
  EXPECT_TRUE(got.intact()) << what;
}

/// A vendor's rows against the f64 reference, to K·ε; passes over a table without such rows.
inline void expect_vendor_near(const ConvRoom& room, const char* impl, const ConvGeometry& g, std::uint64_t seed) {
  const Conv2dRow* row = find_row(room, room.pass("fwd"), "f32", impl);
  if (row == nullptr || row->why_not(g) != nullptr) return;
  SCOPED_TRACE(std::string(impl) + " " + g.str() + ", seed " + std::to_string(seed));
  const ConvInputs<float> in = make_inputs(g, room.depthwise, seed);
  const ConvOutputs<float> got = run_passes(room, impl, g, in);
  const ConvOutputs<double> exact = run_passes(room, "reference", g, widened(in));
  const ConvOutputs<double> magnitude = run_passes(room, "reference", g, widened(in, true));
  const std::int64_t window = g.r * g.s * (room.depthwise ? 1 : g.c);
  expect_near(got.dst, exact.dst, magnitude.dst, window, "dst");
  expect_near(got.d_src, exact.d_src, magnitude.d_src, g.r * g.s * (room.depthwise ? 1 : g.k), "d_src");
  expect_near(got.d_weight, exact.d_weight, magnitude.d_weight, g.out_pixels(), "d_weight");
  expect_near(got.d_bias, exact.d_bias, magnitude.d_bias, g.out_pixels(), "d_bias");
}

/// A small random geometry with at least one output pixel.
inline ConvGeometry random_geometry(Random& random, bool depthwise) {
  const auto upto = [&](std::uint64_t n) { return static_cast<std::int64_t>(1 + random.below(n)); };
  for (;;) {
    ConvGeometry g;
    g.n = upto(3), g.h = upto(9), g.w = upto(9), g.c = upto(40);
    g.k = depthwise ? g.c : upto(40);
    g.r = upto(4), g.s = upto(4), g.stride_h = upto(3), g.stride_w = upto(3);
    g.pad_h = upto(3) - 1, g.pad_w = upto(3) - 1;
    if (g.h + 2 * g.pad_h >= g.r && g.w + 2 * g.pad_w >= g.s) return g;
  }
}

}  // namespace octet::kernels::hostile
