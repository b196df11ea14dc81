// The int8 file: what is written comes back, and whatever else a file may hold is one clear line.
#include "quant/engine/graph_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/safetensors.h"
#include "graphs.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_text.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::engine::test {
namespace {

using nlohmann::json;

class GraphFile : public testing::Test {
 protected:
  octet::test::TempFolder folder_;
  const std::string path_ = folder_ / "model.int8.safetensors";
  const Graph graph_ = every_op(QuantRule::onnx);

  void SetUp() override { save_graph(path_, graph_); }

  /// A file with a right checksum whose parts `change` made wrong.
  void expect_refused(const std::function<void(TensorFile&)>& change, const std::string& what) {
    TensorFile file = read_safetensors(path_);
    change(file);
    const std::string path = folder_ / "broken.safetensors";
    write_safetensors(path, file.tensors, file.metadata);
    EXPECT_ERROR(load_graph(path), what);
    EXPECT_ERROR(Engine::load(path), path);
  }
  void expect_text_refused(const std::string& text, const std::string& what) {
    expect_refused([&](TensorFile& file) { file.metadata["octet.graph"] = text; }, what);
  }
  /// A graph of this description with the weights of graph_.
  Graph with_weights(const std::string& text) const {
    Graph graph = read_graph_text(text);
    for (std::size_t i = 0; i < graph.nodes.size() && i < graph_.nodes.size(); ++i) {
      GraphNode& node = graph.nodes[i];
      const GraphNode& from = graph_.nodes[i];
      if (node.op != OpKind::conv2d && node.op != OpKind::dwconv2d) continue;
      node.weight = from.weight, node.weight_step = from.weight_step, node.bias = from.bias,
      node.float_bias = from.float_bias;
    }
    return graph;
  }
  /// `pointer` names a place of the description, such as /nodes/2/op. Without a file: there are many of these.
  void expect_json_refused(const std::string& pointer, const json& value, const std::string& what) {
    SCOPED_TRACE(pointer + " = " + value.dump());
    json j = json::parse(write_graph_text(graph_));
    j[json::json_pointer(pointer)] = value;
    EXPECT_ERROR(validate(with_weights(j.dump())), what);
  }
};

TEST_F(GraphFile, EqualGraphsGiveEqualBytes) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    Graph graph = every_op(rule);
    graph.scheme = "paddle", graph.notes = {{"classes", "[\"ä\", \"\\\"\"]"}, {"", "empty key\n"}};
    const std::string first = folder_ / "first", second = folder_ / "second";
    save_graph(first, graph);
    const Graph back = load_graph(first);
    save_graph(second, back);
    EXPECT_EQ(read_file(first), read_file(second));
    EXPECT_EQ(back.scheme, graph.scheme);
    EXPECT_EQ(back.notes, graph.notes);
    EXPECT_EQ(back.output, graph.output);
    EXPECT_EQ(str(back), str(graph));
    const Tensor pictures = random_pictures(5, graph), a = Engine(graph).run(pictures), b = Engine(back).run(pictures);
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.nbytes()), 0);
  }
}

TEST_F(GraphFile, NothingIsWrittenOfAWrongGraph) {
  Graph graph = graph_;
  graph.nodes[2].weight_step.pop_back();
  EXPECT_ERROR(save_graph(folder_ / "wrong", graph), "'conv2d2'");
  graph = graph_;
  graph.notes["text"] = "\xff";
  EXPECT_ERROR(save_graph(folder_ / "wrong", graph), "UTF-8");
  graph.notes["text"].assign(17u << 20, 'x');
  EXPECT_ERROR(save_graph(folder_ / "wrong", graph), "more than 16777216");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "wrong"));
}

TEST_F(GraphFile, EveryCutIsSeen) {
  const std::string bytes = read_file(path_), cut = folder_ / "cut";
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    std::FILE* file = std::fopen(cut.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    std::fwrite(bytes.data(), 1, length, file);
    std::fclose(file);
    EXPECT_ERROR(load_graph(cut), cut);
  }
}

TEST_F(GraphFile, EveryFlippedByteIsSeen) {
  const std::string bytes = read_file(path_), flipped = folder_ / "flipped";
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ (at % 2 == 0 ? 0x01 : 0xff));
    std::FILE* file = std::fopen(flipped.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    std::fwrite(wrong.data(), 1, wrong.size(), file);
    std::fclose(file);
    EXPECT_ERROR(load_graph(flipped), flipped);
  }
}

TEST_F(GraphFile, OtherFiles) {
  EXPECT_ERROR(load_graph(folder_ / "nothing"), "nothing");
  EXPECT_ERROR(load_graph(folder_.path().string()), folder_.path().string());
  expect_refused([](TensorFile& f) { f.metadata.erase("octet.kind"); }, "no model of the engine");
  expect_refused([](TensorFile& f) { f.metadata["octet.kind"] = "model"; }, "no model of the engine");
  expect_refused([](TensorFile& f) { f.metadata.erase("octet.format"); }, "octet.format");
  expect_refused([](TensorFile& f) { f.metadata["octet.format"] = "2"; }, "has format 2, this program reads 1");
  expect_refused([](TensorFile& f) { f.metadata["octet.format"] = "\n\x1b[31m"; }, "has format");
  expect_refused([](TensorFile& f) { f.metadata.erase("octet.graph"); }, "octet.graph");
}

TEST_F(GraphFile, Tensors) {
  const auto find = [](TensorFile& f, const std::string& name) -> Tensor& {
    for (auto& [key, tensor] : f.tensors)
      if (key == name) return tensor;
    fail("test", name);
  };
  const auto drop = [](TensorFile& f, const std::string& name) {
    std::erase_if(f.tensors, [&](const auto& t) { return t.first == name; });
  };
  expect_refused([&](TensorFile& f) { drop(f, "conv2d2.weight"); }, "no tensor 'conv2d2.weight'");
  expect_refused([&](TensorFile& f) { drop(f, "conv2d2.weight_step"); }, "a weight step per channel");
  expect_refused([&](TensorFile& f) { f.tensors.clear(); }, "no tensor");
  expect_refused([&](TensorFile& f) { f.tensors.emplace_back("more", Tensor::zeros({1})); },
                 "tensors in the file, the graph uses");
  expect_refused([&](TensorFile& f) { f.tensors.emplace_back("conv2d4.bias", Tensor::zeros({0}, DType::s32)); },
                 "'conv2d4.bias' is s32 0");
  expect_refused([&](TensorFile& f) { f.tensors.emplace_back("conv2d2.float_bias", Tensor::zeros({7})); },
                 "two biases");
  expect_refused([&](TensorFile& f) { f.tensors.emplace_back("add5.weight", Tensor::zeros({7})); },
                 "tensors in the file");
  expect_refused(
      [&](TensorFile& f) {
        find(f, "conv2d2.weight") = Tensor::zeros({7, 3, 3, 3});
      },
      "weights of f32 and reads or makes codes");
  expect_refused(
      [&](TensorFile& f) {
        find(f, "conv2d2.weight") = Tensor::zeros({7, 3, 3, 1}, DType::s8);
      },
      "weights of another shape or type");
  expect_refused(
      [&](TensorFile& f) {
        find(f, "conv2d2.weight") = Tensor::full({7, 3, 3, 3}, -128, DType::s8);
      },
      "weight of -128");
  expect_refused([&](TensorFile& f) { find(f, "conv2d2.weight_step") = Tensor::zeros({7}); },
                 "positive finite weight steps");
  expect_refused([&](TensorFile& f) { find(f, "conv2d2.weight_step") = Tensor::full({7}, 1, DType::f64); },
                 "'conv2d2.weight_step' is f64 7");
  expect_refused(
      [&](TensorFile& f) {
        find(f, "conv2d2.weight_step") = Tensor::full({7, 1}, 1);
      },
      "'conv2d2.weight_step' is f32 7x1");
  expect_refused([&](TensorFile& f) { find(f, "conv2d2.bias") = Tensor::zeros({8}, DType::s32); },
                 "'conv2d2.bias' is s32 8");
  expect_refused([&](TensorFile& f) { find(f, "conv2d2.bias") = Tensor::full({7}, 2147483647, DType::s32); },
                 "can overflow its accumulator");
  expect_refused(
      [&](TensorFile& f) {
        for (int i = 0; i < 1000; ++i) f.tensors.emplace_back(fmt::format("t{}", i), Tensor::zeros({1}));
      },
      "too many");
}

TEST_F(GraphFile, DescriptionsThatAreNone) {
  for (const char* text : {"", " ", "{", "}", "null", "[]", "1", "\"x\"", "{\"nodes\":", "{} {}",
                           "{\"scheme\":\"octet\",}", "\x01", "{\"a\":1e999}"})
    expect_text_refused(text, "");
  expect_text_refused("{}", "has no 'scheme'");
  expect_text_refused(std::string(8u << 20, '['), "nests more than");
  std::string deep = "{\"nodes\":";
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  expect_text_refused(deep, "nests more than");
  std::string many = "{\"nodes\":[";
  for (int i = 0; i < 5000000; ++i) many += "{},";
  expect_text_refused(many + "{}]}", "more than 20002 objects");
  expect_text_refused(std::string(17u << 20, ' '), "more than 16777216");
  std::string twice = write_graph_text(graph_);
  twice.insert(1, "\"output\":3,");
  expect_text_refused(twice, "has 'output' twice");
}

TEST_F(GraphFile, DescriptionsOfWrongTypes) {
  for (const char* key : {"/scheme",
                          "/output",
                          "/notes",
                          "/nodes",
                          "/nodes/2",
                          "/nodes/2/op",
                          "/nodes/2/name",
                          "/nodes/2/inputs",
                          "/nodes/2/extent",
                          "/nodes/2/grid",
                          "/nodes/2/grid/scale",
                          "/nodes/2/grid/zero_point",
                          "/nodes/2/grid/lo",
                          "/nodes/2/grid/hi",
                          "/nodes/2/grid/rule",
                          "/nodes/2/clamp",
                          "/nodes/2/window",
                          "/nodes/2/stride",
                          "/nodes/2/padding",
                          "/nodes/2/rule",
                          "/nodes/10/activation",
                          "/nodes/2/inputs/0",
                          "/nodes/2/extent/1",
                          "/nodes/2/clamp/0",
                          "/nodes/2/window/1"}) {
    for (const json& value : {json(nullptr), json(true), json(1.5), json(-7), json("x"), json::array(), json::object(),
                              json{1, 2, 3, 4, 5, 6, 7}, json{{"a", 1}}}) {
      // What happens to be right, or harmless, in its place:
      if (value == "x" && (std::string(key) == "/scheme" || std::string(key) == "/nodes/2/name")) continue;
      if (value == json::object() && std::string(key) == "/notes") continue;
      if (value == 1.5 && std::string(key) == "/nodes/2/grid/scale") continue;
      if (value == -7 && (std::string(key) == "/nodes/2/grid/lo")) continue;
      expect_json_refused(key, value, "");
    }
    json without = json::parse(write_graph_text(graph_));
    const json::json_pointer pointer(key);
    if (without[pointer.parent_pointer()].is_object()) {
      without[pointer.parent_pointer()].erase(pointer.back());
      EXPECT_ERROR(validate(with_weights(without.dump())), "");
    }
  }
}

TEST_F(GraphFile, NumbersAreNotBent) {
  for (const json& huge : {json(4294967296), json(4294967297), json(std::uint64_t{18446744073709551615u}),
                           json(-4294967296), json(9007199254740993), json(1e18), json(1.0)}) {
    for (const char* key : {"/output", "/nodes/2/inputs/0", "/nodes/2/clamp/0", "/nodes/2/grid/lo",
                            "/nodes/2/grid/zero_point", "/nodes/2/stride/0"})
      expect_json_refused(key, huge, "");
  }
  expect_json_refused("/nodes/2/grid/scale", 1e300, "in reach of a float");
  expect_json_refused("/nodes/2/grid/scale", 1e-300, "one positive finite scale");
  expect_json_refused("/nodes/2/stride/0", 0, "geometry out of range");
  expect_json_refused("/nodes/2/window/0", 9223372036854775807, "geometry out of range");
  expect_json_refused("/nodes/2/padding/0", 9223372036854775807, "pads as much");
  expect_json_refused("/nodes/0/extent/0", 9223372036854775807, "extent out of range");
}

TEST_F(GraphFile, UnknownWords) {
  json j = json::parse(write_graph_text(graph_));
  j["nodes"][2]["op"] = "conv3d\n";
  expect_text_refused(j.dump(), "unknown op 'conv3d '");
  expect_json_refused("/nodes/2/op", "conv3d", "unknown op 'conv3d' of node 2");
  expect_json_refused("/nodes/2/op", "?", "unknown op");
  expect_json_refused("/nodes/2/rule", "round", "unknown rule 'round'");
  expect_json_refused("/nodes/2/grid/rule", "", "unknown rule ''");
  expect_json_refused("/nodes/10/activation", "gelu", "unknown activation 'gelu'");
  expect_json_refused("/nodes/10/activation", "none", "unknown activation 'none'");
  expect_json_refused("/dilation", 1, "unknown 'dilation'");
  expect_json_refused("/nodes/2/dilation", {2, 2}, "node 2 has an unknown 'dilation'");
  expect_json_refused("/nodes/2/grid/axis", 0, "unknown 'axis'");
  expect_json_refused("/nodes/5/rule", "onnx", "unknown 'rule'");
  expect_json_refused("/nodes/5/window", {1, 1}, "unknown 'window'");
  expect_json_refused("/nodes/9/clamp", {0, 1}, "unknown 'clamp'");
  expect_json_refused("/nodes/2/name", "../../etc/x\n", "");
  expect_json_refused("/nodes/2/activation", "relu", "an activation too few or too many");
}

/// Text with a few bytes changed gives an Error or a graph that runs: never anything else, sanitizers included.
TEST_F(GraphFile, ChangedDescriptionsRunOrAreRefused) {
  const std::string alphabet = "0123456789-+.eE{}[]:,\"\\ aonxlrtu", text = write_graph_text(graph_);
  std::mt19937 random(11);
  int ran = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (unsigned count = 1 + random() % 3; count > 0; --count)
      changed[random() % changed.size()] = alphabet[random() % alphabet.size()];
    try {
      const Graph graph = with_weights(changed);
      const Engine engine(graph);
      if (engine.bytes_per_picture() > 1 << 22) continue;
      engine.run(random_pictures(2, graph));
      ++ran;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(ran, 50);  // names, notes, scales, steps of windows …
}

}  // namespace
}  // namespace octet::engine::test
