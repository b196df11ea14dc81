// Engine::run: every op against values worked out by hand, and the same answers for any batch, thread count and caller.
#include "quant/engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "core/parallel.h"
#include "graphs.h"
#include "tests/support/expect_error.h"

namespace octet::engine::test {
namespace {

using kernels::Activation;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Every element of node i's value for one picture.
std::vector<double> value_of(Builder& b, int i, const std::vector<float>& picture) {
  // The output has to be a vector of floats: whatever the value is, it is flattened behind.
  b.flatten(b.at(i).type.is_codes ? b.dequantize(i) : i);
  const Graph graph = b.finish();
  NamedTensors values;
  const GraphNode& in = graph.nodes[0];
  const Engine engine(graph);
  engine.run(Tensor::from({1, in.h, in.w, in.c}, picture), &values);
  const auto& [name, value] = values[static_cast<std::size_t>(i)];
  EXPECT_EQ(name, b.at(i).name);
  EXPECT_EQ(value.shape(), (Shape{1, b.at(i).h, b.at(i).w, b.at(i).c}));
  std::vector<double> all;
  for (std::int64_t k = 0; k < value.numel(); ++k) all.push_back(value.at(k));
  return all;
}

using Values = std::vector<double>;
const QuantParams kWhole = onnx(1, 0, -128, 127);  // codes that are the numbers themselves

TEST(EngineOps, Quantize) {
  Builder s8(1, 1, 6), u8(1, 1, 6), threshold(1, 1, 6);
  EXPECT_EQ(value_of(s8, s8.quantize(0, onnx(0.5f, 3, -4, 7)), {0.25f, 0.75f, 1.25f, -100, 100, kNan}),
            (Values{3, 5, 5, -4, 7, 3}));
  EXPECT_EQ(value_of(u8, u8.quantize(0, onnx(1, 128, 0, 255)), {-200, 200, 0.5f, 1.5f, -1.5f, kNan}),
            (Values{0, 255, 128, 130, 126, 128}));
  // Half away from zero: 3.5·x.
  EXPECT_EQ(value_of(threshold, threshold.quantize(0, paddle(2, 7)), {1, -1, 3, -3, 0.1f, kNan}),
            (Values{4, -4, 7, -7, 0, 0}));
}

TEST(EngineOps, Dequantize) {
  Builder a(1, 1, 3), b(1, 1, 3);
  EXPECT_EQ(value_of(a, a.dequantize(a.quantize(0, onnx(0.5f, 3, -4, 7))), {0.75f, -100, 100}), (Values{1, -3.5, 2}));
  EXPECT_EQ(value_of(b, b.dequantize(b.quantize(0, paddle(2, 7))), {1, -3, 0.1f}), (Values{8.0f / 7, -2, 0}));
}

TEST(EngineOps, ConvToCodes) {
  Builder b(2, 2, 1);
  const int conv =
      b.conv(b.quantize(0, kWhole), 2, {2, 2}, {1, 1, 1, 1, 1, -1, 2, -2}, {0.5f, 0.25f}, onnx(1, 2, -128, 127));
  b.at(conv).bias = {3, 1};  // (10 + 3)/2 = 6.5, half to even; (-3 + 1)/4 = -0.5
  EXPECT_EQ(value_of(b, conv, {1, 2, 3, 4}), (Values{8, 2}));
}

TEST(EngineOps, PaddingHoldsTheZeroPoint) {
  for (const QuantParams& grid : {onnx(1, 10, -128, 127), onnx(1, 200, 0, 255)}) {
    Builder b(2, 2, 1);
    const int conv = b.conv(b.quantize(0, grid), 1, {2, 2, 1, 1, 1, 1}, {1, 1, 1, 1}, {1}, onnx(1, 5, -128, 12));
    b.at(conv).clamp_lo = 7, b.at(conv).clamp_hi = 11;
    EXPECT_EQ(value_of(b, conv, {1, 2, 3, 4}), (Values{7, 8, 7, 9, 11, 11, 8, 11, 9}));
  }
}

TEST(EngineOps, ConvUnderThePaddleRule) {
  const QuantParams in = paddle(7, 7), out = paddle(14, 7);  // steps 1 and 2
  Builder b(2, 2, 1);
  const int conv = b.conv(b.quantize(0, in), 2, {2, 2}, {1, 1, 1, 1, -1, -1, -1, -1}, {0.25f, 0.25f}, out);
  b.at(conv).float_bias = {0.5f, -0.5f};  // ±(10·0.125 + 0.25) = ±1.5, half away
  EXPECT_EQ(value_of(b, conv, {1, 2, 3, 4}), (Values{2, -2}));
  Builder without(2, 2, 1);
  const int plain = without.conv(without.quantize(0, in), 1, {2, 2}, {1, 1, 1, 1}, {0.5f}, out);
  without.at(plain).clamp_lo = 0, without.at(plain).clamp_hi = 2;  // 2.5 away is 3
  EXPECT_EQ(value_of(without, plain, {1, 2, 3, 4}), (Values{2}));
}

TEST(EngineOps, ConvToFloats) {
  Builder b(2, 2, 1);
  const int conv =
      b.conv(b.quantize(0, onnx(0.5f, 1, -128, 127)), 3, {2, 2}, {1, 1, 1, 1, -1, 0, 0, 0, 0, 0, 0, 7}, {0.25f, 1, 2});
  b.at(conv).bias = {1, 2, 0};  // codes less zero points are 2, 4, 6, 8
  Builder clipped = b;
  EXPECT_EQ(value_of(b, conv, {1, 2, 3, 4}), (Values{2.625, 0, 56}));
  clipped.at(conv).bias = {1, -2, 0}, clipped.at(conv).act = Activation::relu6;
  EXPECT_EQ(value_of(clipped, conv, {1, 2, 3, 4}), (Values{2.625, 0, 6}));
  Builder p(2, 2, 1);
  const int with_bias = p.conv(p.quantize(0, paddle(7, 7)), 2, {2, 2}, {1, 1, 1, 1, -1, -1, -1, -1}, {0.5f, 0.5f});
  p.at(with_bias).float_bias = {0.25f, 0.125f}, p.at(with_bias).act = Activation::relu;
  EXPECT_EQ(value_of(p, with_bias, {1, 2, 3, 4}), (Values{5.25, 0}));
}

TEST(EngineOps, Depthwise) {
  Builder b(3, 3, 2);
  const std::vector<float> picture{1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70, 8, 80, 9, 90};
  const int conv = b.depthwise(b.quantize(0, onnx(1, -3, -128, 127)), {2, 2, 2, 2, 1, 1}, {1, 2, 3, 4, 0, 0, 0, -1},
                               {1, 0.5f}, onnx(1, 0, -128, 127));
  b.at(conv).bias = {-1, 0};
  // Windows that start at (-1,-1), (-1,1), (1,-1), (1,1).
  EXPECT_EQ(value_of(b, conv, picture),
            (Values{4 * 1 - 1, -5, 3 * 2 + 4 * 3 - 1, -15, 2 * 4 + 4 * 7 - 1, -35, 5 + 12 + 24 + 36 - 1, -45}));
}

TEST(EngineOps, Add) {
  Builder b(1, 1, 4);
  const int x = b.quantize(0, onnx(0.5f, 1, -128, 127)), y = b.quantize(0, onnx(0.25f, 100, 0, 255));
  const int sum = b.add(x, y, onnx(1, -2, -128, 127));
  b.at(sum).clamp_lo = -2;
  // 0.5 + 0.25 → 1 (0.75 rounds up); 1.5 + 1.5 = 3; relu; 0.25 → 0 (half to even) + 0.25 → 0
  EXPECT_EQ(value_of(b, sum, {0.4f, 1.5f, -7, 0.25f}), (Values{-1, 1, -2, -2}));
  Builder f(1, 1, 2);
  EXPECT_EQ(value_of(f, f.add(0, f.activation(0, Activation::relu)), {1.5f, -2}), (Values{3, -2}));
}

TEST(EngineOps, Concat) {
  Builder b(1, 2, 1);
  const int x = b.quantize(0, kWhole), y = b.conv(x, 2, {}, {2, 3}, {1, 1}, kWhole);
  EXPECT_EQ(value_of(b, b.concat({y, x, y}), {1, 2}), (Values{2, 3, 1, 2, 3, 4, 6, 2, 4, 6}));
  Builder f(1, 2, 1);
  EXPECT_EQ(value_of(f, f.concat({0, f.activation(0, Activation::relu)}), {-1, 2}), (Values{-1, 0, 2, 2}));
}

TEST(EngineOps, MaxPool) {
  const Window window{2, 2, 2, 1, 1, 0};
  const std::vector<float> picture{-9, -2, -3, -4, -5, -6};
  const Values expected{-2, -2, -4, -5};  // rows {-1, 0} and {1, 2}: padding never wins
  Builder s8(2, 3, 1), f(2, 3, 1), u8(2, 3, 1);
  EXPECT_EQ(value_of(s8, s8.max_pool(s8.quantize(0, kWhole), window), picture), expected);
  EXPECT_EQ(value_of(f, f.max_pool(0, window), picture), expected);
  EXPECT_EQ(value_of(u8, u8.max_pool(u8.quantize(0, onnx(1, 200, 0, 255)), window), picture),
            (Values{198, 198, 196, 195}));
}

TEST(EngineOps, AvgPool) {
  const Window window{2, 2, 1, 1, 1, 1};
  const std::vector<float> picture{1, 2, 3, 6};
  Builder codes(2, 2, 1), f(2, 2, 1), whole(2, 2, 1);
  // Means of the pixels inside: 1 1.5 2 / 2 3 4 / 3 4.5 6, twice that in steps of 0.5.
  EXPECT_EQ(
      value_of(codes, codes.avg_pool(codes.quantize(0, onnx(1, 7, -128, 127)), window, onnx(0.5f, 4, 0, 255)), picture),
      (Values{6, 7, 8, 8, 10, 12, 10, 13, 16}));
  EXPECT_EQ(value_of(f, f.avg_pool(0, window), picture), (Values{1, 1.5, 2, 2, 3, 4, 3, 4.5, 6}));
  EXPECT_EQ(value_of(whole, whole.avg_pool(whole.quantize(0, kWhole), {2, 2}, kWhole), {1, 2, 3, 4}),
            (Values{2}));  // 2.5, half to even
}

TEST(EngineOps, FlattenAndActivation) {
  Builder b(2, 1, 2), relu(1, 1, 3), relu6(1, 1, 3);
  EXPECT_EQ(value_of(b, b.flatten(b.quantize(0, kWhole)), {1, 2, 3, 4}), (Values{1, 2, 3, 4}));
  EXPECT_EQ(value_of(relu, relu.activation(0, Activation::relu), {-1, 2, 7}), (Values{0, 2, 7}));
  EXPECT_EQ(value_of(relu6, relu6.activation(0, Activation::relu6), {-1, 2, 7}), (Values{0, 2, 6}));
}

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

class EngineRun : public testing::TestWithParam<QuantRule> {
 protected:
  const Graph graph_ = every_op(GetParam());
  const Engine engine_{graph_};
};
INSTANTIATE_TEST_SUITE_P(Rules, EngineRun, testing::Values(QuantRule::onnx, QuantRule::paddle),
                         [](const auto& info) { return info.param == QuantRule::onnx ? "onnx" : "paddle"; });

TEST_P(EngineRun, ValuesVaryAtEveryNode) {
  NamedTensors values;
  engine_.run(random_pictures(20, graph_), &values);
  for (const auto& [name, value] : values) {
    double low = value.at(0), high = low;
    for (std::int64_t i = 0; i < value.numel(); ++i)
      low = std::min(low, value.at(i)), high = std::max(high, value.at(i));
    EXPECT_LT(low, high) << name << ": the net of these tests is dead here";
  }
}

TEST_P(EngineRun, EveryBatchSizeGivesThePicturesOneByOne) {
  const Tensor pictures = random_pictures(33, graph_);
  NamedTensors all_values;
  const Tensor all = engine_.run(pictures, &all_values);
  for (const std::int64_t n : {0, 1, 2, 15, 16, 17, 31, 32, 33}) {
    NamedTensors values;
    const Tensor some = pictures.slice(0, n);
    EXPECT_TRUE(equal_bits(engine_.run(some), all.slice(0, n))) << n;
    EXPECT_TRUE(equal_bits(engine_.run(some, &values), all.slice(0, n))) << n << " with values";
    ASSERT_EQ(values.size(), all_values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(values[i].first, graph_.nodes[i].name);
      EXPECT_TRUE(equal_bits(values[i].second, all_values[i].second.slice(0, n))) << n << " " << values[i].first;
    }
  }
  for (std::int64_t i = 0; i < 33; ++i)
    EXPECT_TRUE(equal_bits(engine_.run(pictures.slice(i, i + 1)), all.slice(i, i + 1))) << i;
}

TEST_P(EngineRun, CodesStayInTheirClamp) {
  NamedTensors values;
  engine_.run(random_pictures(20, graph_), &values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const GraphNode& node = graph_.nodes[i];
    if (!node.type.is_codes) continue;
    EXPECT_EQ(values[i].second.dtype(), node.type.grid.hi > 127 ? DType::u8 : DType::s8);
    for (std::int64_t k = 0; k < values[i].second.numel(); ++k) {
      ASSERT_GE(values[i].second.at(k), node.clamp_lo) << node.name;
      ASSERT_LE(values[i].second.at(k), node.clamp_hi) << node.name;
    }
  }
}

TEST_P(EngineRun, EveryNumberOfThreadsGivesTheSameBits) {
  const int before = num_threads();
  const Tensor pictures = random_pictures(40, graph_);
  set_num_threads(1);
  const Tensor alone = engine_.run(pictures);
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_TRUE(equal_bits(engine_.run(pictures), alone)) << threads;
  }
  set_num_threads(before);
}

TEST_P(EngineRun, CallersMayComeTogether) {
  std::vector<Tensor> pictures, expected;
  for (std::uint32_t i = 0; i < 4; ++i) {
    pictures.push_back(random_pictures(10 + 7 * i, graph_, i));
    expected.push_back(engine_.run(pictures.back()));
  }
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        NamedTensors values;
        wrong[i] += !equal_bits(engine_.run(pictures[i], round % 2 == 0 ? &values : nullptr), expected[i]);
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

/// Maps that shrink from 64x64 to 1x1 with a shortcut over two convolutions: several stretches of pictures.
Graph shrinking_net() {
  std::mt19937 random(3);
  const auto weights = [&](std::int64_t count) {
    std::vector<int> w(static_cast<std::size_t>(count));
    for (int& x : w) x = static_cast<int>(random() % 255) - 127;
    return w;
  };
  const auto steps = [](std::int64_t count) { return std::vector<float>(static_cast<std::size_t>(count), 0.004f); };
  const QuantParams grid = onnx(0.05f, 0, 0, 255), wide = onnx(0.1f, 3, -128, 127);
  Builder b(64, 64, 3);
  int x = b.quantize(0, onnx(0.03f, 128, 0, 255));
  x = b.conv(x, 12, {3, 3, 2, 2, 1, 1}, weights(12 * 27), steps(12), grid);
  const int first = b.conv(x, 16, {1, 1, 4, 4, 0, 0}, weights(16 * 12), steps(16), wide);
  x = b.depthwise(x, {3, 3, 4, 4, 1, 1}, weights(12 * 9), steps(12), grid);
  x = b.conv(x, 16, {}, weights(16 * 12), steps(16), grid);
  x = b.add(x, first, grid);
  x = b.conv(x, 24, {3, 3, 4, 4, 1, 1}, weights(24 * 9 * 16), steps(24), grid);
  x = b.avg_pool(x, {2, 2}, grid);
  b.conv(x, 5, {}, weights(5 * 24), steps(5));
  return b.finish();
}

TEST(Engine, StretchesGiveThePicturesOneByOne) {
  const Graph graph = shrinking_net();
  const Engine engine(graph);
  const Tensor pictures = random_pictures(70, graph), all = engine.run(pictures);
  NamedTensors values;
  EXPECT_TRUE(equal_bits(engine.run(pictures, &values), all));
  for (std::int64_t i = 0; i < 70; ++i)
    EXPECT_TRUE(equal_bits(engine.run(pictures.slice(i, i + 1)), all.slice(i, i + 1))) << i;
  EXPECT_FALSE(equal_bits(all.slice(0, 1), all.slice(1, 2)));
}

TEST(Engine, RefusesOtherPictures) {
  const Engine engine(every_op(QuantRule::onnx));
  EXPECT_ERROR(engine.run(Tensor({2, 5, 6, 3})), "pictures are f32 2x5x6x3, the model takes f32 Nx6x5x3");
  EXPECT_ERROR(engine.run(Tensor({6, 5, 3})), "the model takes");
  EXPECT_ERROR(engine.run(Tensor({1, 6, 5, 3}, DType::u8)), "pictures are u8");
  EXPECT_ERROR(engine.run(Tensor()), "the model takes");
}

TEST(Engine, RefusesABrokenGraph) {
  Graph graph = every_op(QuantRule::onnx);
  named(graph, "conv2d2").weight_step.clear();
  EXPECT_ERROR(Engine{graph}, "'conv2d2'");
}

TEST(Engine, PicturesOfAnyFloatsGiveNumbers) {
  const Graph graph = every_op(QuantRule::onnx);
  Tensor wild = Tensor::full({3, 6, 5, 3}, std::numeric_limits<double>::infinity());
  wild.slice(1, 2).fill(kNan);
  wild.slice(2, 3).fill(-1e38);
  const Tensor logits = Engine(graph).run(wild);
  for (std::int64_t i = 0; i < logits.numel(); ++i) EXPECT_TRUE(std::isfinite(logits.at(i)));
}

TEST(Engine, TheInputMayBeTheOutput) {
  Builder b(1, 1, 3);
  const Engine engine(b.finish());
  const Tensor pictures = random_pictures(20, engine.graph());
  EXPECT_TRUE(equal_bits(engine.run(pictures), pictures));
}

TEST(Engine, TellsItsPlan) {
  const Engine engine(every_op(QuantRule::onnx));
  const std::string text = engine.plan_text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 19);
  EXPECT_NE(text.find("dwconv2d3"), std::string::npos);
  EXPECT_GT(engine.bytes_per_picture(), 0u);
  const std::string nodes = str(engine.graph());
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), '\n'), 20);
}

}  // namespace
}  // namespace octet::engine::test
