// The engine on the device beside the engine on the processor: equal bits, whatever the net, the batch and the caller.
#include "quant/engine/engine.h"

#include <cstring>
#include <thread>

#include "nn/models.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/float_graph.h"
#include "quant/engine/graph_file.h"
#include "quant/prepare.h"
#include "tests/engine/graphs.h"
#include "tests/gpu/device.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::engine::test {
namespace {

class GpuEngine : public octet::test::OnDevice {};

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

Tensor pictures_32(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> x(static_cast<std::size_t>(count * 32 * 32 * 3));
  for (float& value : x) value = (static_cast<float>(random() % 256) - 127.5f) / 127.5f;
  return Tensor::from({count, 32, 32, 3}, x);
}

/// A net that has seen a batch often enough for its running statistics, as integers.
Graph converted(const std::shared_ptr<nn::Module>& net, quant::Scheme scheme, int bits) {
  quant::QuantConfig config;
  config.scheme = scheme;
  config.weight_bits = config.activation_bits = bits;
  const Shape shape{4, 32, 32, 3};
  quant::prepare(*net, shape, config);
  const NoGrad no_grad;
  net->train();
  const Variable seen(pictures_32(4, 1));
  for (int i = 0; i < 30; ++i) (*net)(seen);
  net->eval();
  return quant::convert(*net, shape, config);
}

std::vector<std::shared_ptr<nn::Module>> small_nets() {
  nn::SmallResNetOptions narrow;
  narrow.width /= 4;
  return {nn::mobilenet_v1({.scale = 0.25}), nn::mobilenet_v2({.scale = 0.25}), nn::small_resnet(narrow)};
}

TEST_F(GpuEngine, NetsGiveTheProcessorsLogits) {
  const Tensor pictures = pictures_32(3, 2);
  for (const auto scheme : {quant::Scheme::octet, quant::Scheme::tensorrt, quant::Scheme::paddle})
    for (const int bits : {8, 4})
      for (const auto& net : small_nets()) {
        SCOPED_TRACE(fmt::format("{} {} in {} bits", quant::name_of(scheme), net->kind(), bits));
        const Graph graph = converted(net, scheme, bits);
        const Engine here(graph), there(graph, Device::cuda);
        EXPECT_EQ(there.device(), Device::cuda);
        const Tensor expected = here.run(pictures);
        EXPECT_FALSE(equal_bits(expected.slice(0, 1), expected.slice(1, 2))) << "the net is dead";
        EXPECT_TRUE(equal_bits(there.run(pictures), expected));
        EXPECT_TRUE(equal_bits(there.run(pictures.slice(1, 2)), expected.slice(1, 2)));
      }
}

TEST_F(GpuEngine, EveryOpGivesTheProcessorsValues) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    const Graph graph = every_op(rule);
    const Engine here(graph), there(graph, Device::cuda);
    const Tensor pictures = random_pictures(9, graph);
    NamedTensors expected, values;
    const Tensor logits = here.run(pictures, &expected);
    EXPECT_TRUE(equal_bits(there.run(pictures, &values), logits));
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(values[i].second.dtype(), expected[i].second.dtype());
      EXPECT_TRUE(equal_bits(values[i].second, expected[i].second)) << values[i].first;
    }
  }
}

TEST_F(GpuEngine, ABatchMayBeLargerThanATile) {
  Builder b(2, 2, 3);
  const int codes = b.quantize(0, onnx(1.0f / 127, 3, -127, 127));
  b.conv(codes, 2, {2, 2}, {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2},
         {0.5f, 0.25f});
  const Graph graph = b.finish();
  const Engine here(graph), there(graph, Device::cuda);
  const Tensor pictures = random_pictures(1024 + 13, graph);
  const Tensor expected = here.run(pictures);
  EXPECT_TRUE(equal_bits(there.run(pictures), expected));
  NamedTensors values;
  EXPECT_TRUE(equal_bits(there.run(pictures, &values), expected));
  EXPECT_TRUE(equal_bits(values[0].second, pictures));
  EXPECT_EQ(there.run(pictures.slice(0, 0)).numel(), 0);
}

TEST_F(GpuEngine, AWarmSessionTakesNoMemory) {
  const Graph graph = every_op(QuantRule::onnx);
  const Engine here(graph), there(graph, Device::cuda);
  const Tensor pictures = random_pictures(20, graph), expected = here.run(pictures);
  Session session(there);
  Tensor logits({20, there.classes()});
  const auto run = [&](std::int64_t count) {
    logits.fill(0);
    session.run(pictures.data<float>(), count, logits.data<float>());
    EXPECT_TRUE(equal_bits(logits.slice(0, count), expected.slice(0, count))) << count;
  };
  for (const std::int64_t count : {20, 1, 7, 20, 1, 7}) run(count);  // met, then recorded
  EXPECT_EQ(session.bytes(), 20 * there.bytes_per_picture());
  const gpu::MemoryStats before = gpu::memory_stats();
  for (const std::int64_t count : {20, 1, 7, 0, 20}) run(count);
  EXPECT_EQ(gpu::memory_stats().live, before.live);
  EXPECT_EQ(gpu::memory_stats().peak_held, before.peak_held);
  EXPECT_EQ(session.bytes(), 20 * there.bytes_per_picture());
}

TEST_F(GpuEngine, SessionsShareAnEngineAndOutliveIt) {
  const Graph graph = every_op(QuantRule::onnx);
  const Engine here(graph);
  std::vector<Tensor> pictures, expected;
  std::vector<Session> sessions;
  {
    const Engine there(graph, Device::cuda);
    for (std::uint32_t i = 0; i < 2; ++i) {
      pictures.push_back(random_pictures(3 + 4 * i, graph, i));
      expected.push_back(here.run(pictures.back()));
      sessions.emplace_back(there);
    }
  }
  std::vector<int> wrong(2, 0);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < 2; ++i)
    callers.emplace_back([&, i] {
      Tensor logits(expected[i].shape());
      for (int round = 0; round < 10; ++round) {
        logits.fill(0);
        sessions[i].run(pictures[i].data<float>(), pictures[i].shape()[0], logits.data<float>());
        wrong[i] += !equal_bits(logits, expected[i]);
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, std::vector<int>(2, 0));
}

TEST_F(GpuEngine, AFileIsLoadedThere) {
  const octet::test::TempFolder folder;
  const Graph graph = every_op(QuantRule::paddle);
  save_graph(folder / "int8.safetensors", graph);
  const Engine there = Engine::load(folder / "int8.safetensors", Device::cuda);
  const Tensor pictures = random_pictures(5, graph);
  EXPECT_TRUE(equal_bits(there.run(pictures), Engine(graph).run(pictures)));
  EXPECT_NE(there.plan_text().find(gpu::kind() == gpu::Kind::cuda ? "cuda" : "emulated"), std::string::npos);
  EXPECT_GT(there.packed_bytes(), 0u);
}

TEST_F(GpuEngine, TheInputMayBeTheOutput) {
  Builder b(1, 1, 3);
  const Engine there(b.finish(), Device::cuda);
  const Tensor pictures = random_pictures(20, there.graph());
  EXPECT_TRUE(equal_bits(there.run(pictures), pictures));
}

/// Largest difference in parts of the largest value.
double difference(const Tensor& a, const Tensor& b) {
  double largest = 0, apart = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i)
    largest = std::max(largest, std::fabs(a.at(i))), apart = std::max(apart, std::fabs(a.at(i) - b.at(i)));
  return apart / largest;
}

TEST_F(GpuEngine, NetsOfFloatsRunThere) {
  for (const auto& net : {nn::mobilenet_v1({.scale = 0.25}), nn::mobilenet_v2({.scale = 0.25}), nn::small_resnet({})}) {
    net->eval();
    const Graph floats = quant::float_graph(*net, {1, 32, 32, 3});
    const Engine here(floats), there(floats, Device::cuda);
    const Tensor pictures = random_pictures(6, floats);
    NamedTensors wanted, got;
    EXPECT_LT(difference(here.run(pictures, &wanted), there.run(pictures, &got)), 1e-4) << net->kind();
    ASSERT_EQ(wanted.size(), got.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_LT(difference(wanted[i].second, got[i].second), 1e-4) << wanted[i].first;
  }
}

TEST_F(GpuEngine, RecordedRunsGiveTheSameBits) {
  const Graph graph = every_op(QuantRule::onnx);
  const Engine here(graph), there(graph, Device::cuda);
  Session session(there);
  const Tensor pictures = random_pictures(30, graph), expected = here.run(pictures);
  for (int round = 0; round < 3; ++round)
    for (std::int64_t count = 1; count <= 20; ++count) {  // more sizes than are recorded
      Tensor logits({count, there.classes()});
      const std::int64_t first = round + count % 5;
      session.run(pictures.slice(first, first + count).data<float>(), count, logits.data<float>());
      EXPECT_TRUE(equal_bits(logits, expected.slice(first, first + count))) << count << " pictures, round " << round;
    }
}

TEST_F(GpuEngine, RefusesOtherPictures) {
  Graph broken = every_op(QuantRule::onnx);
  named(broken, "conv2d2").weight_step.clear();
  EXPECT_ERROR(Engine(broken, Device::cuda), "'conv2d2'");
  const Engine there(every_op(QuantRule::onnx), Device::cuda);
  EXPECT_ERROR(there.run(Tensor({2, 5, 6, 3})), "pictures are f32 2x5x6x3, the model takes f32 Nx6x5x3");
  EXPECT_ERROR(there.run(Tensor({2, 6, 5, 3}, DType::f32, Device::cuda)), "");
  Session session(there);
  EXPECT_ERROR(session.run(nullptr, -1, nullptr), "-1 pictures");
}

}  // namespace
}  // namespace octet::engine::test
