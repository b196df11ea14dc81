// The exported file, read back with ONNX's own classes.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>
#include <map>

#include "core/file.h"
#include "quant/onnx/export.h"
#include "quant/onnx/quantized.h"
#include "tests/engine/graphs.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::quant {
namespace {

using engine::Graph;
using engine::test::Builder;
using engine::test::onnx;
namespace pb = ONNX_NAMESPACE;

constexpr std::size_t kMostBytes = std::size_t{1} << 24;

/// A model as it lies in the file.
class Exported {
 public:
  explicit Exported(const Graph& graph) {
    const octet::test::TempFolder folder;
    report = export_onnx(folder / "model.onnx", graph);
    bytes = read_file(folder / "model.onnx", kMostBytes);
    EXPECT_TRUE(model.ParseFromString(bytes));
    EXPECT_EQ(report.bytes, bytes.size());
  }
  std::map<std::string, int> ops() const {
    std::map<std::string, int> count;
    for (const auto& node : model.graph().node()) ++count[node.op_type()];
    return count;
  }
  /// The node that makes a tensor.
  const pb::NodeProto& maker(const std::string& tensor) const {
    for (const auto& node : model.graph().node())
      if (node.output(0) == tensor) return node;
    throw std::runtime_error("nothing makes " + tensor);
  }
  const pb::TensorProto& constant(const std::string& name) const {
    for (const auto& tensor : model.graph().initializer())
      if (tensor.name() == name) return tensor;
    throw std::runtime_error("no constant " + name);
  }
  template <class T>
  std::vector<T> values(const std::string& name) const {
    const std::string& raw = constant(name).raw_data();
    std::vector<T> all(raw.size() / sizeof(T));
    std::memcpy(all.data(), raw.data(), raw.size());
    return all;
  }
  std::vector<std::int64_t> dims(const std::string& name) const {
    return {constant(name).dims().begin(), constant(name).dims().end()};
  }

  OnnxReport report;
  std::string bytes;
  pb::ModelProto model;
};

std::vector<int> counting(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all[static_cast<std::size_t>(i)] = i % 120 - 60;
  return all;
}

/// conv 3x3, depthwise 3x3, then a linear layer over a 2x2 map.
Graph small_net() {
  Builder b(4, 4, 3);
  int x = b.quantize(0, onnx(1.0f / 127, 0, -127, 127));
  x = b.conv(x, 2, {3, 3, 1, 1, 1, 1}, counting(54), {0.5f, 0.25f}, onnx(0.1f, 0, 0, 255));
  x = b.depthwise(x, {3, 3, 2, 2, 1, 1}, counting(18), {0.5f, 0.125f}, onnx(0.2f, 0, 0, 255));
  x = b.flatten(x);
  b.conv(x, 2, {}, counting(16), {0.5f, 0.5f});
  Graph graph = b.finish();
  graph.nodes[2].bias = {100, -7};
  graph.nodes[3].bias = {3, 4};
  graph.nodes[5].bias = {1, 2};
  return graph;
}

TEST(OnnxExport, NamesAndOpset) {
  const Exported e(small_net());
  EXPECT_EQ(e.model.opset_import(0).version(), 13);
  ASSERT_EQ(e.model.graph().input_size(), 1);
  EXPECT_EQ(e.model.graph().input(0).name(), "image");
  EXPECT_EQ(e.model.graph().output(0).name(), "logits");
  const auto& shape = e.model.graph().input(0).type().tensor_type().shape();
  EXPECT_FALSE(shape.dim(0).has_dim_value());
  EXPECT_EQ(shape.dim(1).dim_value(), 3);
  EXPECT_EQ(shape.dim(2).dim_value(), 4);
  for (const auto& tensor : e.model.graph().initializer()) EXPECT_NE(tensor.data_location(), pb::TensorProto::EXTERNAL);
}

TEST(OnnxExport, EveryLayerReadsAndMakesCodes) {
  const Exported e(small_net());
  const auto ops = e.ops();
  EXPECT_EQ(ops.at("Conv"), 2);
  EXPECT_EQ(ops.at("Gemm"), 1);
  EXPECT_EQ(ops.at("Flatten"), 1);
  // The picture, two convolutions, and what Flatten hands on; else ONNX Runtime would leave the Gemm in floats.
  EXPECT_EQ(ops.at("QuantizeLinear"), 4);
  EXPECT_EQ(e.maker(e.maker("logits").input(0)).op_type(), "DequantizeLinear");
}

TEST(OnnxExport, WeightsAreChannelsFirst) {
  const Exported e(small_net());
  const Graph graph = small_net();
  EXPECT_EQ(e.dims("conv2d2.weight"), (std::vector<std::int64_t>{2, 3, 3, 3}));
  const auto conv = e.values<std::int8_t>("conv2d2.weight");
  const std::int8_t* krsc = graph.nodes[2].weight.data<std::int8_t>();
  for (int k = 0; k < 2; ++k)
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < 9; ++p)
        EXPECT_EQ(conv[static_cast<std::size_t>((k * 3 + c) * 9 + p)], krsc[(k * 9 + p) * 3 + c]);
  EXPECT_EQ(e.dims("dwconv2d3.weight"), (std::vector<std::int64_t>{2, 1, 3, 3}));
  // The linear layer's columns follow the channels-first order in which ONNX flattens a 2x2x2 map.
  EXPECT_EQ(e.dims("conv2d5.weight"), (std::vector<std::int64_t>{2, 8}));
  const auto linear = e.values<std::int8_t>("conv2d5.weight");
  const std::int8_t* rows = graph.nodes[5].weight.data<std::int8_t>();
  for (int k = 0; k < 2; ++k)
    for (int c = 0; c < 2; ++c)
      for (int p = 0; p < 4; ++p)
        EXPECT_EQ(linear[static_cast<std::size_t>(k * 8 + c * 4 + p)], rows[k * 8 + p * 2 + c]);
}

TEST(OnnxExport, BiasesAreFloatsThatGiveTheCodesBack) {
  const Exported e(small_net());
  const float step = onnx(1.0f / 127, 0, -127, 127).step();
  const auto bias = e.values<float>("conv2d2.bias");
  EXPECT_EQ(std::rint(bias[0] / (step * 0.5f)), 100);
  EXPECT_EQ(std::rint(bias[1] / (step * 0.25f)), -7);
  // Behind a layer of f32 values ONNX Runtime takes s32 only.
  EXPECT_EQ(e.values<std::int32_t>("conv2d5.bias"), (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(e.report.notes.empty());
}

TEST(OnnxExport, BiasesThatNoFloatHoldsAreCodes) {
  EXPECT_EQ(exact_bias(0, 0.1f), 0.0f);
  for (std::int32_t q : {1, -1, 12345, (1 << 23) + 1, -(1 << 24)})
    for (float s : {0.1f, 1.0f / 3, 1e-7f, 12345.678f}) {
      const auto b = exact_bias(q, s);
      ASSERT_TRUE(b.has_value()) << q << ' ' << s;
      EXPECT_EQ(std::rint(*b / s), q);
    }
  EXPECT_FALSE(exact_bias((1 << 30) + 1, 0.1f).has_value());
  Graph graph = small_net();
  graph.nodes[2].bias[0] = (1 << 29) + 1;
  const Exported e(graph);
  EXPECT_EQ(e.values<std::int32_t>("conv2d2.bias")[0], (1 << 29) + 1);
  ASSERT_EQ(e.report.notes.size(), 1u);
  EXPECT_NE(e.report.notes[0].find("conv2d2: 1 of 2 biases"), std::string::npos) << e.report.notes[0];
}

TEST(OnnxExport, TensorrtIsSignedWithoutZeroPoints) {
  Builder whole(2, 2, 3);
  int x = whole.quantize(0, onnx(1.0f / 127, 0, -127, 127));
  x = whole.conv(x, 2, {}, counting(6), {0.5f, 0.25f}, onnx(0.1f, 0, -127, 127));
  x = whole.avg_pool(x, {2, 2}, onnx(0.1f, 0, -127, 127));
  whole.conv(x, 4, {}, counting(8), {1, 1, 1, 1});
  Graph made = whole.finish();
  made.scheme = "tensorrt";
  made.nodes[2].clamp_lo = 0;
  const Exported e(made);
  int zero_points = 0;
  for (const auto& tensor : e.model.graph().initializer()) {
    if (tensor.name().find("zero_point") == std::string::npos) continue;
    ++zero_points;
    EXPECT_EQ(tensor.data_type(), pb::TensorProto::INT8) << tensor.name();
    for (char byte : tensor.raw_data()) EXPECT_EQ(byte, 0) << tensor.name();
  }
  EXPECT_GT(zero_points, 3);
  EXPECT_EQ(e.ops().at("Relu"), 1);
}

TEST(OnnxExport, SumsAreTheContractsInFloats) {
  Builder b(2, 2, 3);
  const int x = b.quantize(0, onnx(0.25f, 10, 0, 255));
  const int y = b.conv(x, 3, {}, counting(9), {0.5f, 0.25f, 1}, onnx(0.5f, 0, -127, 127));
  const int total = b.add(x, y, onnx(2, 3, 0, 255));
  b.conv(b.avg_pool(total, {2, 2}, onnx(2, 3, 0, 255)), 1, {}, counting(3), {1});
  Graph graph = b.finish();
  auto& add = graph.nodes[static_cast<std::size_t>(total)];
  add.clamp_lo = 3;  // relu
  const Exported e(graph);
  EXPECT_EQ(e.ops().count("Add"), 0u);
  const auto& sum = e.maker(add.name);
  EXPECT_EQ(sum.op_type(), "Sum");
  const auto &left = e.maker(sum.input(0)), &right = e.maker(sum.input(1));
  EXPECT_EQ(e.values<float>(left.input(1)), std::vector<float>{0.125f});
  EXPECT_EQ(e.values<float>(right.input(1)), std::vector<float>{0.25f});
  EXPECT_EQ(e.values<std::uint8_t>(left.input(2)), std::vector<std::uint8_t>{10});
  EXPECT_EQ(e.values<std::uint8_t>(right.input(2)), std::vector<std::uint8_t>{128});
  const auto& bounded = e.maker(add.name + "/bounded");
  EXPECT_EQ(e.values<float>(e.maker(bounded.input(0)).input(1)), std::vector<float>{1});
  EXPECT_EQ(e.values<std::uint8_t>(bounded.input(1)), std::vector<std::uint8_t>{3});
  EXPECT_TRUE(e.report.notes.empty()) << e.report.notes[0];
}

TEST(OnnxExport, PaddleIsRefused) {
  EXPECT_ERROR(require_onnx_profile("paddle"), "---> HINT fine-tune with --scheme octet or tensorrt");
  EXPECT_ERROR(require_onnx_profile("other"), "no profile for scheme 'other'");
}

TEST(OnnxExport, EqualGraphsGiveEqualBytes) { EXPECT_EQ(Exported(small_net()).bytes, Exported(small_net()).bytes); }

TEST(OnnxExport, WhatCannotBeWrittenIsNamed) {
  EXPECT_ERROR(export_onnx("/no-such-folder/model.onnx", small_net()), "/no-such-folder");
  Graph broken = small_net();
  broken.nodes[2].weight_step.clear();
  EXPECT_ERROR(export_onnx("/tmp/never.onnx", broken), "'conv2d2'");
}

}  // namespace
}  // namespace octet::quant
