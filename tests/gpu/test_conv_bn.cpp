// Fused convolutions on the device beside the processor's reference rows, and in ops beside the decomposed form.
#include <algorithm>

#include "core/random.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "ops/ops.h"
#include "tests/gpu/device.h"
#include "tests/kernels/conv_bn_layers.h"

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
Results run_there(const ConvBnRoom& room, const char* which, const ConvBnCase& c, const ConvBnInputs& in) {
  Buffer<float> src(in.src), scale(in.scale), shift(in.shift), weight(in.weight), d_dst(in.d_dst), z_dst(in.z_dst),
      slope(in.slope), offset(in.offset), step(Floats{c.step});
  const std::size_t k = in.slope.size(), channels = in.scale.size();
  Buffer<float> dst(in.d_dst.size()), mean(k), variance(k), low(k), high(k), d_src(in.src.size()), d_scale(channels),
      d_shift(channels), d_weight(in.weight.size());
  ConvBnPointers io;
  io.src = src, io.step_at = step, io.step = -1, io.weight = weight, io.dst = dst, io.d_dst = d_dst;
  if (c.problem.mapped) io.scale = scale, io.shift = shift;
  if (c.statistics) io.mean = mean, io.variance = variance;
  if (c.extremes) io.low = low, io.high = high;
  if (c.late) io.z_dst = z_dst, io.slope = slope, io.offset = offset;
  if (c.d_src) io.d_src = d_src;
  if (c.d_src && c.problem.mapped) io.d_scale = d_scale, io.d_shift = d_shift;
  if (c.d_weight) io.d_weight = d_weight;
  const std::string pass = room.pass(which);
  if (const ConvBnRow* row = test::device_row(room.rows, pass.c_str(), "f32", c.problem))
    row->run(c.problem, io, context_of(Device::cuda));
  return {dst.values(),   mean.values(),    variance.values(), low.values(),     high.values(),
          d_src.values(), d_scale.values(), d_shift.values(),  d_weight.values()};
}

void expect_forward(const ConvBnRoom& room, const ConvBnCase& c, std::uint64_t seed) {
  SCOPED_TRACE(room.name + (" fwd " + c.str()));
  const ConvGeometry& g = c.problem.geometry;
  const ConvBnInputs in = hostile::make_inputs(room, g, seed, false);
  const ConvBnOutputs wanted = hostile::run_row(hostile::reference_row(room, room.pass("fwd"), "f32"), c, in);
  const Results got = run_there(room, "fwd", c, in);
  const double terms = static_cast<double>(room.depthwise ? g.r * g.s : g.r * g.s * g.c);
  room.depthwise ? test::expect_same(floats(wanted.dst), got.dst, "dst")
                 : test::expect_near(floats(wanted.dst), got.dst, 1e-6 * terms, "dst");
  for (std::int64_t k = 0; k < g.k; ++k) {
    double sum = 0, square = 0;
    float low = INFINITY, high = -INFINITY;
    for (std::int64_t i = k; i < g.out_pixels() * g.k; i += g.k) {
      const float z = got.dst[static_cast<std::size_t>(i)];
      sum += static_cast<double>(z), square += static_cast<double>(z) * static_cast<double>(z),
          low = std::min(low, z), high = std::max(high, z);
    }
    const auto at = static_cast<std::size_t>(k);
    const double pixels = static_cast<double>(g.out_pixels()), mean = sum / pixels;
    if (c.extremes) {
      EXPECT_TRUE(got.low[at] == low && got.high[at] == high) << "extremes of " << k;
    }
    if (!c.statistics) continue;
    EXPECT_NEAR(got.mean[at], mean, 1e-6 * std::max(1.0, std::fabs(mean))) << k;
    EXPECT_NEAR(got.variance[at], std::max(square / pixels - mean * mean, 0.0), 1e-6 * std::max(1.0, square / pixels))
        << k;
  }
}

void expect_backward(const ConvBnRoom& room, const ConvBnCase& c, std::uint64_t seed) {
  SCOPED_TRACE(room.name + (" bwd " + c.str()));
  const ConvGeometry& g = c.problem.geometry;
  const ConvBnInputs in = hostile::make_inputs(room, g, seed, false);
  const ConvBnOutputs wanted = hostile::run_row(hostile::reference_row(room, room.pass("bwd"), "f32"), c, in);
  const Results got = run_there(room, "bwd", c, in);
  const double taps = static_cast<double>(g.r * g.s), readers = room.depthwise ? taps : taps * static_cast<double>(g.k);
  const double pixels = static_cast<double>(g.out_pixels());
  if (c.d_src) test::expect_near(floats(wanted.d_src), got.d_src, 2e-6 * readers, "d_src");
  if (c.d_src && c.problem.mapped) {
    test::expect_near(floats(wanted.d_scale), got.d_scale, 2e-6 * readers * pixels, "d_scale");
    test::expect_near(floats(wanted.d_shift), got.d_shift, 2e-6 * readers * pixels, "d_shift");
  }
  if (c.d_weight) test::expect_near(floats(wanted.d_weight), got.d_weight, 2e-6 * pixels, "d_weight");
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

TEST_F(GpuConvBn, WindowsWithAPlainSource) {
  std::uint64_t seed = 20;
  for (const ConvGeometry& g : {geometry(2, 9, 3, 16, 3, 2), geometry(1, 4, 8, 8, 3, 1), geometry(2, 1, 5, 3, 3, 1),
                                geometry(3, 6, 12, 20, 1, 2)})
    expect_room(kConv, g, seed++, false);
  ConvBnProblem mapped;
  mapped.geometry = geometry(2, 9, 3, 16, 3, 2), mapped.mapped = true;
  EXPECT_EQ(find_row(conv2d_bn_rows(), "conv2d_bn_fwd", "f32", mapped, Device::cuda), nullptr)
      << "is materialised before";
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

/// Another form of conv_bn_act while it lives.
class Form {
 public:
  explicit Form(ops::Fusion fusion) { ops::set_fusion(fusion); }
  ~Form() { ops::set_fusion(before_); }

 private:
  ops::Fusion before_ = ops::fusion();
};

struct Chain {
  Floats y, gradients, state;
  std::string ops;
};

/// A depthwise, a pointwise and a depthwise layer on the device, the middle one's source quantized by a scale that lies
/// there.
Chain run_chain(ops::Fusion fusion) {
  const Form form(fusion);
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
