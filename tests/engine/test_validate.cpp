// validate() and accumulator_bound(): one thing broken at a time in a graph that is right.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "graphs.h"
#include "tests/support/expect_error.h"

namespace octet::engine::test {
namespace {

using kernels::Activation;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

struct Break {
  const char* what;  ///< part of the message
  std::function<void(Graph&)> mutate;
};

/// Names of every_op: input0 quantize1 conv2d2 dwconv2d3 conv2d4 add5 concat6 max_pool7 avg_pool8 dequantize9 activation10
/// add11 dequantize12 concat13 max_pool14 avg_pool15 quantize16 flatten17 conv2d18.
void expect_refused(const std::vector<Break>& breaks, QuantRule rule = QuantRule::onnx) {
  for (std::size_t i = 0; i < breaks.size(); ++i) {
    SCOPED_TRACE(fmt::format("case {}: {}", i, breaks[i].what));
    Graph graph = every_op(rule);
    breaks[i].mutate(graph);
    EXPECT_ERROR(validate(graph), breaks[i].what);
  }
}

/// Sets something of the named node.
template <class F>
std::function<void(Graph&)> on(const std::string& name, F set) {
  return [=](Graph& graph) { set(named(graph, name)); };
}

std::function<void(Graph&)> grid(const std::string& name, const QuantParams& params) {
  return on(name, [=](GraphNode& n) { n.type.grid = params, n.clamp_lo = params.lo, n.clamp_hi = params.hi; });
}

TEST(Validate, TakesWhatIsRight) {
  EXPECT_NO_THROW(validate(every_op(QuantRule::onnx)));
  EXPECT_NO_THROW(validate(every_op(QuantRule::paddle)));
}

TEST(Validate, Structure) {
  expect_refused({
      {"0 nodes", [](Graph& g) { g.nodes.clear(); }},
      {"10001 nodes", [](Graph& g) { g.nodes.resize(10001); }},
      {"node 2 'conv2d2' (conv2d) reads a node that does not come before it",
       on("conv2d2", [](GraphNode& n) { n.inputs[0] = 2; })},
      {"does not come before", on("conv2d2", [](GraphNode& n) { n.inputs[0] = 2147483647; })},
      {"does not come before", on("add5", [](GraphNode& n) { n.inputs[1] = -1; })},
      {"reads a node that does not come before it", on("input0", [](GraphNode& n) { n.inputs = {0}; })},
      {"takes one input", on("conv2d2", [](GraphNode& n) { n.inputs.clear(); })},
      {"takes one input", on("flatten17",
                             [](GraphNode& n) {
                               n.inputs = {1, 2};
                             })},
      {"takes two inputs", on("add5", [](GraphNode& n) { n.inputs.pop_back(); })},
      {"takes two inputs", on("add5", [](GraphNode& n) { n.inputs.push_back(3); })},
      {"at least one input", on("concat6", [](GraphNode& n) { n.inputs.clear(); })},
      {"is an input where none may be", on("add5", [](GraphNode& n) { n.op = OpKind::input, n.inputs.clear(); })},
      {"is an input where none may be", on("input0", [](GraphNode& n) { n.op = OpKind::flatten; })},
      {"a name of its own", on("add5", [](GraphNode& n) { n.name = "conv2d4"; })},
      {"a name of its own", on("add5", [](GraphNode& n) { n.name.clear(); })},
      {"a name of its own", on("add5", [](GraphNode& n) { n.name = "two\nlines"; })},
      {"a name of its own", on("add5", [](GraphNode& n) { n.name = std::string("a\0b", 3); })},
      {"a name of its own", on("add5", [](GraphNode& n) { n.name.assign(513, 'x'); })},
      {"output that is named", [](Graph& g) { g.output = -1; }},
      {"output that is named", [](Graph& g) { g.output = 19; }},
      {"output 'conv2d2' is not a vector of floats", [](Graph& g) { g.output = 2; }},
      {"output 'avg_pool8' is not", [](Graph& g) { g.output = 8; }},
      {"output 'activation10' is not", [](Graph& g) { g.output = 10; }},
  });
}

TEST(Validate, Extents) {
  for (const std::int64_t extent :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{65537}, std::numeric_limits<std::int64_t>::max()})
    expect_refused({{"extent out of range", on("input0", [=](GraphNode& n) { n.c = extent; })},
                    {"extent out of range", on("conv2d4", [=](GraphNode& n) { n.h = extent; })}});
  expect_refused({
      {"too large", on("input0", [](GraphNode& n) { n.h = n.w = 65536; })},
      {"from floats to codes", on("quantize1", [](GraphNode& n) { n.h = 7; })},
      {"from codes to floats", on("dequantize9", [](GraphNode& n) { n.c = 1; })},
      {"different extents", on("add5", [](GraphNode& n) { n.c = 6; })},
      {"different extents", on("add5", [](GraphNode& n) { n.inputs[1] = 2; })},
      {"different extent or type", on("concat6", [](GraphNode& n) { n.w = 3; })},
      {"channels other than", on("concat6", [](GraphNode& n) { n.c = 13; })},
      {"number of values", on("flatten17", [](GraphNode& n) { n.c = 27; })},
      {"number of values", on("flatten17", [](GraphNode& n) { n.h = 28, n.c = 1; })},
      {"its geometry does not give", on("conv2d2", [](GraphNode& n) { n.w = 4; })},
      {"its geometry does not give", on("max_pool7", [](GraphNode& n) { n.h = 4; })},
      {"its geometry does not give", on("avg_pool8", [](GraphNode& n) { n.c = 13; })},
  });
}

TEST(Validate, Geometry) {
  using G = kernels::ConvGeometry;
  for (std::int64_t G::*field : {&G::k, &G::r, &G::s, &G::stride_h, &G::stride_w})
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{-3}, std::int64_t{65537}, std::numeric_limits<std::int64_t>::max()})
      for (const char* name : {"conv2d2", "dwconv2d3", "max_pool7", "avg_pool8"})
        expect_refused({{"geometry out of range", on(name, [=](GraphNode& n) { n.geometry.*field = value; })}});
  for (std::int64_t G::*field : {&G::pad_h, &G::pad_w})
    for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{3}, std::numeric_limits<std::int64_t>::max()})
      expect_refused({{"pads as much as its window", on("conv2d2", [=](GraphNode& n) { n.geometry.*field = value; })}});
  for (std::int64_t G::*field : {&G::h, &G::w, &G::c})
    expect_refused({{"not its input's", on("max_pool7", [=](GraphNode& n) { n.geometry.*field += 1; })}});
  expect_refused({
      {"larger than its padded input", on("conv2d2", [](GraphNode& n) { n.geometry.r = 60000; })},
      {"larger than its padded input", on("avg_pool8", [](GraphNode& n) { n.geometry.s = 65536; })},
      {"window that is too large", on("dwconv2d3",
                                      [](GraphNode& n) {
                                        n.geometry.r = n.geometry.s = 5000, n.geometry.pad_h = n.geometry.pad_w = 4999;
                                        n.h = n.geometry.out_h(), n.w = n.geometry.out_w();
                                      })},
      {"changes the channels", on("max_pool7", [](GraphNode& n) { n.geometry.k = n.c = 15; })},
      {"channels of a depthwise", on("dwconv2d3", [](GraphNode& n) { n.geometry.k = n.c = 8; })},
  });
}

TEST(Validate, Grids) {
  for (const float scale : {0.0f, -0.0f, -1.0f, kNan, kInfinity, -kInfinity})
    expect_refused(
        {{"one positive finite scale", on("conv2d2", [=](GraphNode& n) { n.type.grid.scale = {scale}; })},
         {"one positive finite scale", on("quantize1", [=](GraphNode& n) { n.type.grid.scale = {scale}; })}});
  expect_refused({
      {"one positive finite scale", on("conv2d2", [](GraphNode& n) { n.type.grid.scale.clear(); })},
      {"one positive finite scale", on("conv2d2",
                                       [](GraphNode& n) {
                                         n.type.grid.scale = {1.0f, 1.0f};
                                       })},
      {"neither s8 nor u8", grid("conv2d2", onnx(1, 0, 0, 256))},
      {"neither s8 nor u8", grid("conv2d2", onnx(1, 0, -129, 127))},
      {"neither s8 nor u8", grid("conv2d2", onnx(1, 0, -1, 128))},
      {"neither s8 nor u8", grid("conv2d2", onnx(1, 0, 1, 0))},
      {"zero point outside", grid("conv2d2", onnx(1, 11, -10, 10))},
      {"zero point outside", grid("conv2d2", onnx(1, -11, -10, 10))},
      {"clamps outside its grid", on("add5", [](GraphNode& n) { n.clamp_lo = -129; })},
      {"clamps outside its grid", on("add5", [](GraphNode& n) { n.clamp_hi = 128; })},
      {"clamps outside its grid", on("add5", [](GraphNode& n) { n.clamp_lo = 6, n.clamp_hi = 5; })},
      {"clamps where nothing is computed", on("quantize1", [](GraphNode& n) { n.clamp_lo = 0; })},
      {"clamps where nothing is computed", on("max_pool7", [](GraphNode& n) { n.clamp_hi = 6; })},
      {"clamps where nothing is computed", on("flatten17", [](GraphNode& n) { n.clamp_lo = 0; })},
  });
  expect_refused(
      {
          {"paddle rule does not know", on("conv2d2", [](GraphNode& n) { n.type.grid.zero_point = 1; })},
          {"paddle rule does not know",
           on("conv2d2", [](GraphNode& n) { n.type.grid.lo = n.clamp_lo = 0, n.type.grid.hi = 255; })},
          {"paddle rule does not know", on("quantize1", [](GraphNode& n) { n.type.grid.lo = n.clamp_lo = -128; })},
          {"paddle rule does not know", grid("quantize1", paddle(1, 0))},
          {"too small for a step", grid("quantize1", paddle(1e-45f, 127))},
      },
      QuantRule::paddle);
}

TEST(Validate, Types) {
  const auto floats = [](GraphNode& n) { n.type = {}; };
  expect_refused({
      {"must be floats", on("input0",
                            [](GraphNode& n) {
                              n.type = {true, onnx(1, 0, 0, 255)}, n.clamp_hi = 255;
                            })},
      {"from floats to codes", on("quantize1", floats)},
      {"from floats to codes", on("quantize16", [](GraphNode& n) { n.inputs[0] = 1; })},
      {"from codes to floats", on("dequantize9", [](GraphNode& n) { n.inputs[0] = 0; })},
      {"from floats to floats", on("activation10", [](GraphNode& n) { n.inputs[0] = 8; })},
      {"floats instead of codes", [](Graph& g) { named(g, "conv2d2").inputs[0] = 0; }},
      {"mixes codes and floats", on("add5", floats)},
      {"mixes codes and floats", on("add11", [](GraphNode& n) { n.inputs[1] = 8; })},
      {"different extent or type", on("concat6", floats)},
      {"different extent or type", on("concat6", [](GraphNode& n) { n.type.grid.scale[0] = 0.5f; })},
      {"changes the type", on("flatten17", floats)},
      {"changes the type", on("flatten17", [](GraphNode& n) { n.type.grid.scale[0] = 0.5f; })},
      {"mixes codes and floats", on("avg_pool8", floats)},
      {"changes the grid of a maximum", on("max_pool7", [](GraphNode& n) { n.type.grid.scale[0] = 0.5f; })},
      {"an activation too few", on("activation10", [](GraphNode& n) { n.act = Activation::none; })},
      {"an activation too few or too many", on("conv2d2", [](GraphNode& n) { n.act = Activation::relu; })},
      {"an activation too few or too many", on("max_pool14", [](GraphNode& n) { n.act = Activation::relu; })},
      {"weights that it does not use", on("add5", [](GraphNode& n) { n.weight = Tensor::zeros({1}, DType::s8); })},
      {"weights that it does not use", on("add5", [](GraphNode& n) { n.bias = {1}; })},
  });
}

TEST(Validate, Weights) {
  expect_refused({
      {"weights of another shape or type", on("conv2d2", [](GraphNode& n) { n.weight = {}; })},
      {"weights of another shape or type", on("conv2d2",
                                              [](GraphNode& n) {
                                                n.weight = Tensor::zeros({7, 3, 3, 4}, DType::s8);
                                              })},
      {"weights of another shape or type", on("conv2d2",
                                              [](GraphNode& n) {
                                                n.weight = Tensor::zeros({7, 27}, DType::s8);
                                              })},
      {"weights of another shape or type", on("conv2d2",
                                              [](GraphNode& n) {
                                                n.weight = Tensor::zeros({7, 3, 3, 3}, DType::u8);
                                              })},
      {"weights of another shape or type", on("dwconv2d3",
                                              [](GraphNode& n) {
                                                n.weight = Tensor::zeros({7, 3, 2, 7}, DType::s8);
                                              })},
      {"weight of -128", on("conv2d2", [](GraphNode& n) { n.weight.data<std::int8_t>()[100] = -128; })},
      {"a weight step per channel", on("conv2d2", [](GraphNode& n) { n.weight_step.clear(); })},
      {"a weight step per channel", on("conv2d2", [](GraphNode& n) { n.weight_step.pop_back(); })},
      {"a bias per channel or none", on("conv2d2", [](GraphNode& n) { n.bias.push_back(0); })},
      {"two biases", on("conv2d2", [](GraphNode& n) { n.float_bias.resize(7); })},
      {"float bias under the onnx rule", on("conv2d2", [](GraphNode& n) { n.bias.clear(), n.float_bias.resize(7); })},
      {"multiplier that is not finite",
       on("conv2d2", [](GraphNode& n) { n.type.grid.scale[0] = 1e-4f, n.weight_step[6] = 3e38f; })},
      {"multiplier that is too large", on("add5", [](GraphNode& n) { n.type.grid.scale[0] = 1e-40f; })},
      {"multiplier that is not finite", on("avg_pool8", [](GraphNode& n) { n.type.grid.scale[0] = 1e-45f; })},
      {"zero point under the paddle rule",
       on("dwconv2d3", [](GraphNode& n) { n.rule = QuantRule::paddle, n.bias.clear(); })},
  });
  for (const float step : {0.0f, -1.0f, kNan, kInfinity})
    expect_refused({{"positive finite weight steps", on("conv2d2", [=](GraphNode& n) { n.weight_step[3] = step; })}});
  expect_refused(
      {
          {"integer bias under the paddle rule",
           on("conv2d2", [](GraphNode& n) { n.float_bias.clear(), n.bias.resize(7); })},
          {"bias that is not finite", on("conv2d2", [](GraphNode& n) { n.float_bias[6] = kNan; })},
          {"bias that is not finite", on("conv2d2", [](GraphNode& n) { n.float_bias[6] = kInfinity; })},
          {"a bias per channel or none", on("conv2d2", [](GraphNode& n) { n.float_bias.pop_back(); })},
      },
      QuantRule::paddle);
}

/// 1x1 conv over `depth` u8 channels of zero point 0, all weights `weight`.
Graph deep_conv(std::int64_t depth, int weight, std::int32_t bias) {
  Builder b(1, 1, depth);
  const int conv = b.conv(b.quantize(0, onnx(1e-6f, 0, 0, 255)), 1, {},
                          std::vector<int>(static_cast<std::size_t>(depth), weight), {1e-6f});
  b.at(conv).bias = {bias};
  return b.finish();
}

TEST(Validate, AccumulatorsFitInt32Exactly) {
  // 65536 · 255 · 127 = 2122383360; 2^31 − 1 − 2122383360 = 25100287.
  EXPECT_NO_THROW(validate(deep_conv(65536, 127, 25100287)));
  EXPECT_ERROR(validate(deep_conv(65536, 127, 25100288)), "can overflow its accumulator");
  EXPECT_NO_THROW(validate(deep_conv(65536, -127, -25100287)));
  EXPECT_ERROR(validate(deep_conv(65536, -127, -25100288)), "can overflow its accumulator");
  // A bias alone counts too, and only −(2^31 − 1) to 2^31 − 1 is allowed.
  EXPECT_NO_THROW(validate(deep_conv(1, 0, std::numeric_limits<std::int32_t>::max())));
  EXPECT_ERROR(validate(deep_conv(1, 0, std::numeric_limits<std::int32_t>::min())), "can overflow its accumulator");
}

TEST(Validate, SumsOfAveragesFitInt32) {
  const auto average = [](std::int64_t h, std::int64_t w) {
    Builder b(h, w, 1);
    const QuantParams grid = onnx(1, 0, 0, 255);
    b.flatten(b.dequantize(b.avg_pool(b.quantize(0, grid), {h, w, 1, 1, 0, 0}, grid)));
    return b.finish();
  };
  EXPECT_NO_THROW(validate(average(2048, 4112)));  // 8421376 · 255 < 2^31
  EXPECT_ERROR(validate(average(2048, 4113)), "can overflow its sum");
}

TEST(AccumulatorBound, IsWhatTheWorstPictureReaches) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::int32_t lo = static_cast<std::int32_t>(random() % 8) - 6,
                       hi = lo + static_cast<std::int32_t>(random() % 7);
    const QuantParams grid =
        onnx(1, lo + static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(hi - lo + 1)), lo, hi);
    GraphNode node;
    std::vector<std::int8_t> weight;
    for (int i = 0; i < 6; ++i) weight.push_back(static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127));
    node.weight = Tensor::from({2, 1, 1, 3}, weight);
    if (round % 2 == 0)
      node.bias = {static_cast<std::int32_t>(random() % 2001) - 1000,
                   static_cast<std::int32_t>(random() % 2001) - 1000};
    for (std::int64_t channel = 0; channel < 2; ++channel) {
      std::int64_t worst = 0;
      for (int x = lo; x <= hi; ++x)
        for (int y = lo; y <= hi; ++y)
          for (int z = lo; z <= hi; ++z) {
            const std::int8_t* w = weight.data() + channel * 3;
            const std::int64_t a =
                (x - grid.zero_point) * w[0] + (y - grid.zero_point) * w[1] + (z - grid.zero_point) * w[2];
            worst =
                std::max(worst, std::abs(a + (node.bias.empty() ? 0 : node.bias[static_cast<std::size_t>(channel)])));
          }
      ASSERT_EQ(accumulator_bound(node, grid, channel), worst) << grid.str();
    }
  }
}

}  // namespace
}  // namespace octet::engine::test
