// Fused convolutions on the device beside the processor's reference rows, and in ops beside the decomposed form.
#include <algorithm>

#include "core/random.h"
#include "kernels/activation.h"
#include "kernels/conv2d/gemm_plan.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "tests/gpu/device.h"
#include "tests/kernels/conv_bn_layers.h"
#include "tests/support/fusion_form.h"

namespace octet::kernels {
namespace {

using hostile::ConvBnCase;
using hostile::ConvBnInputs;
using hostile::ConvBnOutputs;
using hostile::ConvBnRoom;
using test::Buffer;
using Floats = std::vector<float>;

class GpuConvBn : public test::OnDevice {};

const ConvBnRoom kConv{conv2d_bn_rows(), "conv2d_bn", false}, kDepthwise{dwconv2d_bn_rows(), "dwconv2d_bn", true};

struct Results {
  Floats dst, mean, variance, low, high, d_src, d_scale, d_shift, d_weight;
};

Floats floats(const hostile::PageEnd<float>& values) { return {values.data(), values.data() + values.size()}; }

/// One pass of the device's row; the step lies on the device.
Results run_there(const ConvBnRoom& room, const char* which, const ConvBnCase& c, const ConvBnInputs& in,
                  const char* dtypes = "f32", float* x = nullptr) {
  Buffer<float> src(in.src), scale(in.scale), shift(in.shift), weight(in.weight), d_dst(in.d_dst), z_dst(in.z_dst),
      slope(in.slope), offset(in.offset), step(Floats{c.step});
  const std::size_t k = in.slope.size(), channels = in.scale.size();
  Buffer<float> dst(in.d_dst.size()), mean(k), variance(k), low(k), high(k), d_src(in.src.size()), d_scale(channels),
      d_shift(channels), d_weight(in.weight.size());
  ConvBnPointers io;
  io.x = x;
  io.src = src, io.step_at = step, io.step = -1, io.weight = weight, io.dst = dst, io.d_dst = d_dst;
  if (c.problem.mapped) io.scale = scale, io.shift = shift;
  if (c.statistics) io.mean = mean, io.variance = variance;
  if (c.extremes) io.low = low, io.high = high;
  if (c.late) io.z_dst = z_dst, io.slope = slope, io.offset = offset;
  if (c.d_src) io.d_src = d_src;
  if (c.d_src && c.problem.mapped) io.d_scale = d_scale, io.d_shift = d_shift;
  if (c.d_weight) io.d_weight = d_weight;
  const std::string pass = room.pass(which);
  if (const ConvBnRow* row = test::device_row(room.rows, pass.c_str(), dtypes, c.problem))
    row->run(c.problem, io, context_of(Device::cuda));
  return {dst.values(),   mean.values(),    variance.values(), low.values(),     high.values(),
          d_src.values(), d_scale.values(), d_shift.values(),  d_weight.values()};
}

/// Does the product of this pass run in one chunk of its depth, with the bits of the reference? Buffers are aligned.
bool whole_forward(const ConvBnRoom& room, const ConvGeometry& g) {
  return room.depthwise || gemm_plan(g.out_pixels(), g.k, g.r * g.s * g.c, g.c % 4 == 0).chunks == 1;
}
bool whole_backward(const ConvBnRoom& room, const ConvGeometry& g) {
  if (room.depthwise) return true;
  // Windows add up by taps there, here in one chain.
  return g.is_pointwise() && gemm_plan(g.out_pixels(), g.c, g.k, g.c % 4 == 0 && g.k % 4 == 0).chunks == 1;
}

/// Sums in double of the same terms, rounded once.
constexpr double kOnce = 2e-7;

void expect_class(const Floats& wanted, const Floats& got, const char* what) {
  ASSERT_EQ(wanted.size(), got.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(std::isnan(wanted[i]), std::isnan(got[i])) << what << ", element " << i;
    ASSERT_EQ(std::isinf(wanted[i]), std::isinf(got[i])) << what << ", element " << i;
  }
}

void expect_forward(const ConvBnRoom& room, const ConvBnCase& c, std::uint64_t seed, bool hostile = false) {
  SCOPED_TRACE(room.name + (" fwd " + c.str()) + ", seed " + std::to_string(seed));
  const ConvGeometry& g = c.problem.geometry;
  const ConvBnInputs in = hostile::make_inputs(room, g, seed, hostile);
  const ConvBnOutputs wanted = hostile::run_row(hostile::reference_row(room, room.pass("fwd"), "f32"), c, in);
  const Results got = run_there(room, "fwd", c, in);
  if (!whole_forward(room, g)) {
    test::expect_near(floats(wanted.dst), got.dst, 2e-7 * static_cast<double>(g.r * g.s * g.c), "dst");
  } else {
    test::expect_same(floats(wanted.dst), got.dst, "dst");
    if (c.extremes) test::expect_same(floats(wanted.low), got.low, "low");
    if (c.extremes) test::expect_same(floats(wanted.high), got.high, "high");
  }
  if (!c.statistics) return;
  if (hostile)
    return expect_class(floats(wanted.mean), got.mean, "mean"),
           expect_class(floats(wanted.variance), got.variance, "variance");
  const double tolerance = whole_forward(room, g) ? kOnce : 2e-7 * static_cast<double>(g.r * g.s * g.c);
  test::expect_near(floats(wanted.mean), got.mean, tolerance, "mean");
  test::expect_near(floats(wanted.variance), got.variance, tolerance, "variance");
}

void expect_backward(const ConvBnRoom& room, const ConvBnCase& c, std::uint64_t seed, bool hostile = false) {
  SCOPED_TRACE(room.name + (" bwd " + c.str()) + ", seed " + std::to_string(seed));
  const ConvGeometry& g = c.problem.geometry;
  const ConvBnInputs in = hostile::make_inputs(room, g, seed, hostile);
  const ConvBnOutputs wanted = hostile::run_row(hostile::reference_row(room, room.pass("bwd"), "f32"), c, in);
  const Results got = run_there(room, "bwd", c, in);
  const bool whole = whole_backward(room, g), sums = c.d_src && c.problem.mapped;
  const double readers = static_cast<double>(g.r * g.s * g.k), pixels = static_cast<double>(g.out_pixels());
  if (c.d_src && whole) test::expect_same(floats(wanted.d_src), got.d_src, "d_src");
  if (hostile) {
    if (sums && whole)
      expect_class(floats(wanted.d_scale), got.d_scale, "d_scale"),
          expect_class(floats(wanted.d_shift), got.d_shift, "d_shift");
    return;
  }
  if (c.d_src) test::expect_near(floats(wanted.d_src), got.d_src, 2e-7 * readers, "d_src");
  const double tolerance = whole ? kOnce : 2e-7 * readers * std::sqrt(pixels);
  if (sums) test::expect_near(floats(wanted.d_scale), got.d_scale, tolerance, "d_scale");
  if (sums) test::expect_near(floats(wanted.d_shift), got.d_shift, tolerance, "d_shift");
  if (c.d_weight) test::expect_near(floats(wanted.d_weight), got.d_weight, 2e-7 * pixels, "d_weight");
}

/// All maps, and every subset of what is wanted for one of them.
void expect_room(const ConvBnRoom& room, const ConvGeometry& g, std::uint64_t seed, bool maps) {
  std::vector<ConvBnCase> cases;
  if (maps) {
    hostile::for_maps(g, [&](const ConvBnCase& c) { cases.push_back(c); });
  } else {
    cases.emplace_back().problem.geometry = g;
  }
  for (int omitted = 0; omitted < 5; ++omitted) {
    ConvBnCase c = cases[cases.size() / 2];
    c.statistics = omitted != 0, c.extremes = omitted != 1, c.late = omitted != 2, c.d_src = omitted != 3,
    c.d_weight = omitted != 4;
    if (omitted == 4) c.statistics = c.extremes = false;
    cases.push_back(c);
  }
  for (const ConvBnCase& c : cases) expect_forward(room, c, seed), expect_backward(room, c, seed);
}

ConvGeometry geometry(std::int64_t n, std::int64_t map, std::int64_t c, std::int64_t k, std::int64_t window,
                      std::int64_t stride) {
  ConvGeometry g;
  g.n = n, g.h = map, g.w = map + (map > 2 ? 1 : 0), g.c = c, g.k = k;
  g.r = g.s = window, g.stride_h = g.stride_w = stride, g.pad_h = g.pad_w = window / 2;
  return g;
}

/// Where the caller has a place for the mapped source, forward leaves it there and backward takes it from there.
TEST_F(GpuConvBn, TheMappedSourceIsKept) {
  for (const ConvBnRoom& room : {kConv, kDepthwise}) {
    ConvBnCase c;
    c.problem.geometry = geometry(2, 5, 8, 8, 3, 1);
    c.problem.mapped = true, c.problem.act = Activation::relu6;
    const ConvBnInputs in = hostile::make_inputs(room, c.problem.geometry, 7, false);
    Buffer<float> x(in.src.size());
    const Results without = run_there(room, "fwd", c, in), with = run_there(room, "fwd", c, in, "f32", x);
    test::expect_same(without.dst, with.dst, "dst");
    const Floats kept = x.values();
    const std::size_t channels = in.scale.size();
    for (std::size_t i = 0; i < kept.size(); ++i)
      ASSERT_EQ(kept[i],
                activate(std::fma(in.src[i], in.scale[i % channels], in.shift[i % channels]), Activation::relu6))
          << i;
    test::expect_same(run_there(room, "bwd", c, in).d_weight, run_there(room, "bwd", c, in, "f32", x).d_weight,
                      "d_weight");
    // What lies there is what counts.
    Buffer<float> zeros(Floats(in.src.size(), 0.0f));
    for (const float d : run_there(room, "bwd", c, in, "f32", zeros).d_weight) ASSERT_EQ(d, 0.0f);
  }
}

TEST_F(GpuConvBn, Bf16IsNearItsReference) {
  std::uint64_t seed = 70;
  for (const ConvGeometry& g : {geometry(1, 1, 1, 1, 1, 1), geometry(3, 2, 5, 7, 1, 1), geometry(2, 5, 8, 12, 1, 1),
                                geometry(2, 9, 36, 140, 1, 1), geometry(9, 1, 260, 64, 1, 1),
                                geometry(2, 6, 3, 8, 3, 2), geometry(1, 7, 4, 20, 3, 1)})
    for (const bool quantized : {false, true}) {
      ConvBnCase c;
      c.problem.geometry = g, c.problem.mapped = true, c.problem.act = Activation::relu;
      c.problem.quantized = quantized, c.problem.lo = 0, c.problem.hi = 255, c.step = 0.004f;
      SCOPED_TRACE(c.str());
      const ConvBnInputs in = hostile::make_inputs(kConv, g, seed++, false);
      const ConvBnOutputs fwd = hostile::run_row(hostile::reference_row(kConv, kConv.pass("fwd"), "bf16"), c, in),
                          bwd = hostile::run_row(hostile::reference_row(kConv, kConv.pass("bwd"), "bf16"), c, in);
      const Results forward = run_there(kConv, "fwd", c, in, "bf16"), backward = run_there(kConv, "bwd", c, in, "bf16");
      hostile::expect_near_bf16(fwd.dst, forward.dst, "dst");
      hostile::expect_near_bf16(fwd.mean, forward.mean, "mean");
      hostile::expect_near_bf16(fwd.low, forward.low, "low");
      hostile::expect_near_bf16(bwd.d_src, backward.d_src, "d_src");
      hostile::expect_near_bf16(bwd.d_weight, backward.d_weight, "d_weight");
      hostile::expect_near_bf16(bwd.d_scale, backward.d_scale, "d_scale");
      hostile::expect_near_bf16(bwd.d_shift, backward.d_shift, "d_shift");
    }
}

TEST_F(GpuConvBn, PointwiseWithEveryMap) {
  std::uint64_t seed = 1;
  for (const ConvGeometry& g : {geometry(1, 1, 1, 1, 1, 1), geometry(3, 2, 5, 7, 1, 1), geometry(2, 5, 8, 12, 1, 1),
                                geometry(2, 9, 36, 40, 1, 1)})
    expect_room(kConv, g, seed++, true);
  // Several tiles either way, and a depth that is split.
  ConvBnCase c;
  c.problem.mapped = c.problem.quantized = true, c.problem.act = Activation::relu, c.problem.lo = 0, c.problem.hi = 255;
  for (const ConvGeometry& g :
       {geometry(3, 12, 20, 132, 1, 1), geometry(2, 4, 1024, 64, 1, 1), geometry(5, 1, 512, 260, 1, 1)}) {
    c.problem.geometry = g;
    expect_forward(kConv, c, seed), expect_backward(kConv, c, seed++);
  }
}

TEST_F(GpuConvBn, WindowsWithEveryMap) {
  std::uint64_t seed = 20;
  for (const ConvGeometry& g : {geometry(2, 9, 3, 16, 3, 2), geometry(1, 4, 8, 8, 3, 1), geometry(2, 1, 5, 3, 3, 1),
                                geometry(3, 6, 12, 20, 1, 2), geometry(1, 7, 4, 8, 2, 3)})
    expect_room(kConv, g, seed++, true);
  // What the map makes of a zero is not what padding is.
  ConvBnCase c;
  c.problem.geometry = geometry(2, 5, 4, 8, 3, 1), c.problem.mapped = true;
  ConvBnInputs in = hostile::make_inputs(kConv, c.problem.geometry, seed, false);
  std::fill(in.scale.begin(), in.scale.end(), 0.0f), std::fill(in.shift.begin(), in.shift.end(), 1.0f),
      std::fill(in.weight.begin(), in.weight.end(), 1.0f);
  EXPECT_EQ(run_there(kConv, "fwd", c, in).dst[0], 4 * 4.0f) << "four taps of a corner are inside";
}

TEST_F(GpuConvBn, HostileValues) {
  std::uint64_t seed = 60;
  for (const ConvGeometry& g : {geometry(2, 5, 17, 12, 1, 1), geometry(2, 4, 8, 12, 1, 1), geometry(2, 5, 4, 6, 3, 2)})
    hostile::for_maps(
        g, [&](const ConvBnCase& c) { expect_forward(kConv, c, ++seed, true), expect_backward(kConv, c, seed, true); });
  for (const std::int64_t channels : {5, 8})
    hostile::for_maps(geometry(2, 5, channels, channels, 3, 1), [&](const ConvBnCase& c) {
      expect_forward(kDepthwise, c, ++seed, true), expect_backward(kDepthwise, c, seed, true);
    });
}

/// Means that dwarf the deviations: sums of squares in floats would leave no digit of the variance.
TEST_F(GpuConvBn, StatisticsOfAFarMean) {
  ConvBnCase c;
  c.problem.geometry = geometry(40, 9, 4, 8, 1, 1);
  ConvBnInputs in = hostile::make_inputs(kConv, c.problem.geometry, 3, false);
  for (float& x : in.src) x = 3000 + x;
  std::fill(in.weight.begin(), in.weight.end(), 0.25f);
  const ConvBnOutputs wanted = hostile::run_row(hostile::reference_row(kConv, "conv2d_bn_fwd", "f32"), c, in);
  const Results got = run_there(kConv, "fwd", c, in);
  for (std::size_t k = 0; k < 8; ++k) EXPECT_NEAR(got.variance[k], wanted.variance[static_cast<std::int64_t>(k)], 1e-6);
  EXPECT_GT(got.variance[0], 0.05f);
}

/// Pointers that no quad may be read from.
TEST_F(GpuConvBn, UnalignedPointers) {
  ConvBnCase c;
  c.problem.geometry = geometry(2, 4, 8, 8, 1, 1), c.problem.mapped = true;
  const ConvBnInputs in = hostile::make_inputs(kConv, c.problem.geometry, 9, false);
  const auto moved = [](const Floats& values) {
    Floats all(1, 0.0f);
    all.insert(all.end(), values.begin(), values.end());
    return all;
  };
  Buffer<float> src(in.src), scale(moved(in.scale)), shift(in.shift), weight(in.weight), dst(in.d_dst.size());
  Buffer<float> d_dst(in.d_dst), z(moved(in.z_dst)), slope(moved(in.slope)), offset(in.offset), d_src(in.src.size()),
      d_scale(8), d_shift(8), d_weight(in.weight.size());
  ConvBnPointers io;
  io.src = src, io.scale = scale.data() + 1, io.shift = shift, io.weight = weight, io.dst = dst;
  io.d_dst = d_dst, io.z_dst = z.data() + 1, io.slope = slope.data() + 1, io.offset = offset;
  io.d_src = d_src, io.d_scale = d_scale, io.d_shift = d_shift, io.d_weight = d_weight;
  for (const char* pass : {"conv2d_bn_fwd", "conv2d_bn_bwd"})
    test::device_row(kConv.rows, pass, "f32", c.problem)->run(c.problem, io, context_of(Device::cuda));
  const ConvBnOutputs forward = hostile::run_row(hostile::reference_row(kConv, "conv2d_bn_fwd", "f32"), c, in);
  const ConvBnOutputs backward = hostile::run_row(hostile::reference_row(kConv, "conv2d_bn_bwd", "f32"), c, in);
  test::expect_same(floats(forward.dst), dst.values(), "dst");
  test::expect_same(floats(backward.d_src), d_src.values(), "d_src");
  test::expect_near(floats(backward.d_weight), d_weight.values(), 2e-7 * 40, "d_weight");
}

TEST_F(GpuConvBn, DepthwiseWithEveryMap) {
  std::uint64_t seed = 40;
  for (const std::int64_t stride : {1, 2})
    for (const auto& [n, map, c] :
         {std::tuple{1, 1, 1}, std::tuple{3, 2, 5}, std::tuple{2, 7, 8}, std::tuple{2, 4, 36}})
      expect_room(kDepthwise, geometry(n, map, c, c, 3, stride), seed++, true);
  expect_forward(kDepthwise, {.problem = {.geometry = geometry(9, 16, 132, 132, 3, 1)}}, seed);
  expect_backward(kDepthwise, {.problem = {.geometry = geometry(9, 16, 132, 132, 3, 1)}}, seed);
}

struct Chain {
  Floats y, gradients, state;
  std::string ops;
};

/// A depthwise, a pointwise and a depthwise layer on the device, the middle one's source quantized by a scale that lies
/// there.
Chain run_chain(ops::Fusion fusion) {
  const test::FusionForm form(fusion);
  const auto there = [](const Shape& shape, std::uint64_t seed, double low, double high) {
    Tensor t(shape);
    Random random(seed, Purpose::test);
    for (float& x : t.span<float>()) x = static_cast<float>(random.uniform(low, high));
    return t.to(Device::cuda);
  };
  std::vector<Variable> leaves{Variable(there({3, 6, 6, 8}, 1, -1, 1), true)};
  std::vector<ops::BatchNormState> states;
  ops::Deferred x{leaves[0]};
  Chain chain;
  for (int i = 0; i < 3; ++i) {
    const bool depthwise = i != 1;
    const std::int64_t k = i == 0 ? 8 : 12, c = i < 2 ? 8 : 12;
    const auto seed = static_cast<std::uint64_t>(10 * i);
    leaves.emplace_back(there(depthwise ? Shape{k, 3, 3, 1} : Shape{k, 1, 1, c}, seed + 2, -0.5, 0.5), true);
    const Variable weight = leaves.back();
    leaves.emplace_back(there({k}, seed + 3, 0.5, 1.5), true);
    leaves.emplace_back(there({k}, seed + 4, -0.5, 0.5), true);
    states.push_back({Tensor::zeros({k}, DType::f32, Device::cuda), Tensor::full({k}, 1, DType::f32, Device::cuda)});
    ops::ConvBnActArgs args;
    args.depthwise = depthwise, args.training = true, args.act = ops::Activation::relu, args.wants_range = true;
    if (depthwise) args.conv = {1, 1, 1, 1};
    if (i == 1) {
      x.quant = QuantParams{{}, 0, 0, 255, -1, QuantRule::onnx};
      x.scale = Tensor::full({1}, 0.011, DType::f32, Device::cuda);
    }
    x = ops::conv_bn_act(x, weight, leaves[leaves.size() - 2], leaves.back(), states.back(), args);
    chain.ops += std::string(x.z.node()->op) + " ";
  }
  const Variable y = ops::materialise(x);
  const auto take = [](const Tensor& t, Floats& to) {
    const Tensor here = t.to(Device::cpu);
    to.insert(to.end(), here.data<float>(), here.data<float>() + here.numel());
  };
  take(y.value(), chain.y);
  y.backward(there(y.shape(), 77, -1, 1));
  for (const Variable& leaf : leaves) take(leaf.grad(), chain.gradients);
  for (const ops::BatchNormState& state : states)
    take(state.running_mean, chain.state), take(state.running_var, chain.state);
  return chain;
}

TEST_F(GpuConvBn, FormsOfConvBnActAgree) {
  const Chain fused = run_chain(ops::Fusion::integers), decomposed = run_chain(ops::Fusion::off);
  EXPECT_EQ(fused.ops, "dwconv2d_bn conv2d_bn dwconv2d_bn ");
  EXPECT_EQ(decomposed.ops, "dwconv2d conv2d dwconv2d ");
  test::expect_near(decomposed.y, fused.y, 1e-5, "y");
  test::expect_near(decomposed.gradients, fused.gradients, 1e-4, "gradients");
  test::expect_near(decomposed.state, fused.state, 1e-5, "running statistics");
}

}  // namespace
}  // namespace octet::kernels
