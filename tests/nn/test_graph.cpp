// trace(): what a recorded net looks like, what is refused, and that nothing is left changed.
#include <gtest/gtest.h>

#include <map>

#include "nn/graph.h"
#include "nn/models.h"
#include "tests/nn/toy_modules.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using nn::Graph;
using nn::GraphNode;

std::map<std::string, int> op_counts(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const GraphNode& node : graph.nodes) ++counts[node.op];
  return counts;
}

void expect_well_formed(const Graph& graph) {
  ASSERT_FALSE(graph.nodes.empty());
  EXPECT_EQ(graph.nodes[0].op, "input");
  EXPECT_TRUE(graph.nodes[0].inputs.empty());
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    EXPECT_FALSE(graph.nodes[i].inputs.empty() && graph.nodes[i].parameters.empty()) << graph.str();
    for (int input : graph.nodes[i].inputs) EXPECT_TRUE(input >= 0 && input < static_cast<int>(i)) << graph.str();
  }
}

TEST(Trace, MobileNetV1LayerForLayer) {
  const auto net = nn::mobilenet_v1({.scale = 0.25});
  const Graph graph = nn::trace(*net, {1, 32, 32, 3});
  expect_well_formed(graph);
  EXPECT_EQ(op_counts(graph), (std::map<std::string, int>{{"input", 1},
                                                          {"conv2d", 14},
                                                          {"dwconv2d", 13},
                                                          {"batchnorm_affine", 27},
                                                          {"affine_act", 27},
                                                          {"global_avg_pool", 1},
                                                          {"flatten", 1},
                                                          {"linear", 1}}));
  EXPECT_EQ(graph.output, static_cast<int>(graph.nodes.size()) - 1);
  std::vector<std::string> convs;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (node.op != "conv2d" && node.op != "dwconv2d") continue;
    convs.push_back(node.path);
    const GraphNode &affine = graph.nodes.at(i + 1), &act = graph.nodes.at(i + 2);
    const std::string block = node.path.substr(0, node.path.rfind('.'));
    EXPECT_EQ(node.module->kind(), node.op == "conv2d" ? "Conv2d" : "DepthwiseConv2d");
    EXPECT_EQ(node.parameters.size(), 1u);
    EXPECT_EQ(affine.path, block + ".bn");
    EXPECT_EQ(affine.parameters.size(), 2u);
    EXPECT_EQ(act.path, block + ".bn");
    EXPECT_EQ(act.inputs, (std::vector<int>{static_cast<int>(i), static_cast<int>(i) + 1}));
    EXPECT_EQ(std::get<std::string>(act.attributes.at("act")), "relu");
  }
  ASSERT_EQ(convs.size(), 27u);
  EXPECT_EQ(convs[0], "conv1.conv");
  EXPECT_EQ(convs[1], "blocks.0.dw.conv");
  EXPECT_EQ(convs[26], "blocks.12.pw.conv");
  const std::size_t n = graph.nodes.size();
  EXPECT_EQ(graph.nodes[n - 3].path, "pool");
  EXPECT_EQ(graph.nodes[n - 2].path, "flatten");
  EXPECT_EQ(graph.nodes[n - 1].path, "fc");
  EXPECT_EQ(graph.nodes[n - 1].shape, (Shape{1, 10}));
  EXPECT_EQ(graph.nodes[1].shape, (Shape{1, 16, 16, 8}));
}

TEST(Trace, SmallResNetWithItsShortcuts) {
  const auto net = nn::small_resnet({.classes = 7, .width = 4, .blocks_per_stage = 2});
  const Graph graph = nn::trace(*net, {1, 16, 16, 3});
  expect_well_formed(graph);
  auto counts = op_counts(graph);
  EXPECT_EQ(counts["add"], 6);
  EXPECT_EQ(counts["relu"], 6);
  EXPECT_EQ(counts["conv2d"], 1 + 6 * 2 + 2);
  const auto readers = graph.consumers();
  ASSERT_EQ(readers.size(), graph.nodes.size());
  int branches = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (node.op == "add") {
      ASSERT_EQ(node.inputs.size(), 2u);
      EXPECT_NE(node.inputs[0], node.inputs[1]);
      EXPECT_EQ(node.module->kind(), "Add");
      EXPECT_TRUE(node.path.ends_with(".add")) << node.path;
    }
    if (node.op == "affine_act" || node.op == "relu") branches += readers[i].size() == 2;
    for (int reader : readers[i]) {
      const auto& inputs = graph.nodes[static_cast<std::size_t>(reader)].inputs;
      EXPECT_NE(std::find(inputs.begin(), inputs.end(), static_cast<int>(i)), inputs.end());
    }
  }
  EXPECT_EQ(branches, 6);  // every block's input has two readers
  EXPECT_TRUE(readers[static_cast<std::size_t>(graph.output)].empty());
  EXPECT_NE(graph.str().find("features.1.add"), std::string::npos);
}

TEST(Trace, LeavesModesStateAndGradientsAsTheyWere) {
  const auto bn = std::make_shared<nn::BatchNorm2d>(3);
  const auto dropout = std::make_shared<nn::Dropout>(0.5);
  nn::Sequential net({bn, dropout, std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(12, 2)});
  bn->eval();  // one layer frozen by hand in a net that trains
  const std::uint32_t before = state_crc(net.state());
  const Graph graph = nn::trace(net, {1, 2, 2, 3});
  EXPECT_TRUE(net.is_training() && dropout->is_training());
  EXPECT_FALSE(bn->is_training());
  EXPECT_EQ(state_crc(net.state()), before);
  EXPECT_TRUE(grad_enabled());
  EXPECT_FALSE(RecordGuard::active() || nn::TransformBypass::active());
  EXPECT_EQ(op_counts(graph).count("dropout"), 0u);

  EXPECT_ERROR(nn::trace(net, {1, 5, 5, 3}), "linear");  // does not fit half-way through
  EXPECT_TRUE(net.is_training() && dropout->is_training() && grad_enabled());
  EXPECT_FALSE(bn->is_training() || RecordGuard::active() || nn::TransformBypass::active());
}

TEST(Trace, BypassesTransforms) {
  const auto conv = std::make_shared<nn::Conv2d>(conv_options(3, 2, 1));
  const auto transform = std::make_shared<Doubling>();
  conv->set_slot("input_transform", transform);
  EXPECT_EQ(nn::trace(*conv, {1, 2, 2, 3}).nodes.size(), 2u);
  EXPECT_EQ(transform->calls, 0);
}

TEST(Trace, ControlFlowOnDataIsRefused) {
  std::vector<float> seen;
  Lambda watcher([&](const Variable& x) {
    seen.push_back(static_cast<float>(x.value().at(0)));
    return ops::relu(x);
  });
  nn::trace(watcher, {1, 2, 2, 3});
  ASSERT_EQ(seen.size(), 2u);
  ASSERT_NE(seen[0], seen[1]);
  const double threshold = (seen[0] + seen[1]) / 2;
  Lambda other_op([&](const Variable& x) { return x.value().at(0) > threshold ? ops::relu(x) : ops::relu6(x); });
  EXPECT_ERROR(nn::trace(other_op, {1, 2, 2, 3}), "depends on data");
  Lambda more_ops(
      [&](const Variable& x) { return x.value().at(0) > threshold ? ops::relu(x) : ops::relu(ops::relu(x)); });
  EXPECT_ERROR(nn::trace(more_ops, {1, 2, 2, 3}), "depends on data");
  const auto left = std::make_shared<nn::Linear>(3, 3), right = std::make_shared<nn::Linear>(3, 3);
  Lambda other_weights([&](const Variable& x) { return x.value().at(0) > threshold ? (*left)(x) : (*right)(x); },
                       {left, right});
  EXPECT_ERROR(nn::trace(other_weights, {1, 3}), "depends on data");
  Lambda other_attributes([&](const Variable& x) {
    return ops::max_pool(x, {2, 2, x.value().at(0) > threshold ? 2 : 1, 2, 0, 0});
  });
  EXPECT_ERROR(nn::trace(other_attributes, {1, 4, 4, 3}), "depends on data");
}

TEST(Trace, AnOutputThatIgnoresTheInputIsRefused) {
  const auto linear = std::make_shared<nn::Linear>(2, 3);
  Lambda a_leaf([&](const Variable&) { return linear->weight; }, {linear});
  EXPECT_ERROR(nn::trace(a_leaf, {1, 2}), "does not depend on its input");
  Lambda computed([&](const Variable&) { return ops::relu(linear->weight); }, {linear});
  EXPECT_ERROR(nn::trace(computed, {1, 2}), "does not depend on its input");
}

TEST(Trace, ASharedLayerAndAnIdentity) {
  const auto linear = std::make_shared<nn::Linear>(3, 3);
  nn::Sequential twice({linear, linear});
  const Graph graph = nn::trace(twice, {1, 3});
  ASSERT_EQ(graph.nodes.size(), 3u);
  EXPECT_EQ(graph.nodes[1].path, "0");
  EXPECT_EQ(graph.nodes[2].path, "0");
  EXPECT_EQ(nn::count_macs(graph), 18);
  nn::Sequential nothing(std::vector<std::shared_ptr<nn::Module>>{});
  EXPECT_EQ(nn::trace(nothing, {1, 3}).output, 0);
}

TEST(Trace, ADeepNetNeedsNoDeepStack) {
  Lambda deep([](const Variable& x) {
    Variable y = x;
    for (int i = 0; i < 20000; ++i) y = ops::add(y, x);
    return y;
  });
  EXPECT_EQ(nn::trace(deep, {1, 2}).nodes.size(), 20001u);
}

TEST(Summary, MobileNetV1AtScaleOne) {
  const auto net = nn::mobilenet_v1();
  EXPECT_EQ(net->parameter_count(), 3217226);
  EXPECT_NEAR(static_cast<double>(nn::count_macs(nn::trace(*net, {1, 32, 32, 3}))) * 1e-6, 11.60, 0.005);
  const std::string text = nn::summary(*net, {1, 32, 32, 3});
  EXPECT_NE(text.find("3217226 parameters, 11.60 M multiply-accumulates"), std::string::npos) << text;
  EXPECT_NE(text.find("blocks.12.pw.conv"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 27 * 2 + 3 + 1);
  EXPECT_EQ(nn::summary(*net, {8, 32, 32, 3}), text);  // figures are those of one picture
}

TEST(Summary, RowsAddUpToTheParameters) {
  const auto net = nn::small_resnet();
  const Graph graph = nn::trace(*net, {1, 32, 32, 3});
  std::int64_t sum = 0;
  for (const GraphNode& node : graph.nodes)
    for (const Variable& parameter : node.parameters) sum += parameter.value().numel();
  EXPECT_EQ(sum, net->parameter_count());
}

}  // namespace
}  // namespace octet::test
