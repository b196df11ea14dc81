// The commands around deployment: verify, bench, predict.
#include <gtest/gtest.h>
#include <sys/stat.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/mnv1_qat/bench.h"
#include "apps/mnv1_qat/comparison.h"
#include "core/gpu/gpu.h"
#include "data/dataset.h"
#include "program.h"
#include "quant/engine/graph_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

class Deploy : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Ended ended = mnv1_qat(Words{"run", "--quiet"} + small_run(file("run")));
    ASSERT_EQ(ended.code, 0) << ended.err;
    ScratchFolder scratch;
    std::filesystem::copy_file(app::deployables(model("fp32"), scratch)[0].file, file("float.safetensors"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static std::string model(const std::string& kind) { return file("run/" + kind + ".safetensors"); }

  /// A program that stands for Python: ends with `code` after saying `out` and, on stderr, `err`.
  static std::string python_that(int code, const std::string& out, const std::string& err = "") {
    const std::string name = file(fmt::format("python{}{}", code, std::hash<std::string>{}(out)));
    write_bytes(name, fmt::format("#!/bin/sh\necho '{}'\necho '{}' >&2\nexit {}\n", out, err, code));
    ::chmod(name.c_str(), 0700);
    return name;
  }

  static inline TempFolder* folder_ = nullptr;
};

TEST_F(Deploy, VerifyHoldsTheThreeExecutorsTogether) {
  for (const Words& more : {Words{}, Words{"--int8", model("int8")}}) {
    const Ended ended = mnv1_qat(Words{"verify", model("qat"), "--json"} + more + small_data());
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Json j = Json::parse(ended.out);
    EXPECT_EQ(j["good"], true);
    EXPECT_EQ(j["pictures"], 40);
    EXPECT_EQ(j["codes_differ"], 0);
    EXPECT_EQ(j["logits"]["simulator_engine"]["bit_equal"], true);
    // An export of its own, where a runtime is at hand.
    EXPECT_TRUE(j["onnx"].contains("skipped") || j["onnx"]["bit_equal"] == true) << j["onnx"];
    int seen = 0;
    for (const Json& layer : j["layers"]) {
      EXPECT_EQ(layer["simulator_engine_differ"], 0) << layer;
      if (!layer.contains("nn_simulator_share")) continue;
      ++seen;
      EXPECT_LE(layer["nn_simulator_share"].get<double>(), 0.05) << layer;
    }
    EXPECT_EQ(seen, 29) << "the inputs of 28 layers and of the pool";
  }
  const Ended text = mnv1_qat(Words{"verify", model("qat"), "--quiet", "--python", python_that(77, "")} + small_data());
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("blocks.12.pw.conv"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("ONNX Runtime skipped"), std::string::npos) << text.out;
}

TEST_F(Deploy, VerifyFindsAChangedWeight) {
  engine::Graph graph = engine::load_graph(model("int8"));
  for (engine::GraphNode& node : graph.nodes) {
    if (node.name != "blocks.3.pw.conv") continue;
    for (std::int8_t& code : Tensor(node.weight).span<std::int8_t>()) code = static_cast<std::int8_t>(code / 2);
  }
  engine::save_graph(file("changed.safetensors"), graph);
  const Ended ended =
      mnv1_qat(Words{"verify", model("qat"), "--int8", file("changed.safetensors"), "--json"} + small_data());
  expect_refused(ended, 1, {"simulator and engine differ", "blocks.3.pw.conv"});
  EXPECT_EQ(Json::parse(ended.out)["good"], false);
}

TEST_F(Deploy, VerifyAsksOnnxRuntime) {
  write_bytes(file("model.onnx"), "the stand-in does not read it");
  const auto verify = [&](const std::string& python, const std::string& kind = "int8") {
    return mnv1_qat(Words{"verify", model(kind), "--onnx", file("model.onnx"), "--json", "--python", python} +
                    small_data());
  };
  const std::string equal =
      R"({"runtime": "onnxruntime", "version": "9", "bit_equal": true, "classes_equal": 1.0, "largest_difference": 0.0})";
  const std::string apart =
      R"({"runtime": "onnxruntime", "version": "9", "bit_equal": false, "classes_equal": 0.9, "largest_difference": 0.25})";
  for (const char* kind : {"int8", "qat"}) {
    const Ended good = verify(python_that(0, equal), kind);
    ASSERT_EQ(good.code, 0) << good.err;
    EXPECT_EQ(Json::parse(good.out)["onnx"]["runtime"], "onnxruntime 9");
    expect_refused(verify(python_that(0, apart), kind), 1, {"ONNX Runtime's logits differ", "0.25"});
  }
  const Ended missing = verify(python_that(77, ""));
  expect_refused(missing, 1, {"has no ONNX Runtime", "HINT", "OCTET_PYTHON"});
  EXPECT_TRUE(Json::parse(missing.out)["onnx"].contains("skipped"));
  expect_refused(verify(file("no/python")), 1, {"cannot start"});
  expect_refused(verify(python_that(1, "", "verify_onnx: no such operator")), 1, {"no such operator"});
  expect_refused(verify(python_that(0, "nonsense")), 1, {"nonsense"});
  // The environment names one where the command line does not.
  const Ended by_name = mnv1_qat(Words{"verify", model("int8"), "--onnx", file("model.onnx")} + small_data(),
                                 {{"OCTET_PYTHON", python_that(0, equal)}});
  EXPECT_EQ(by_name.code, 0) << by_name.err;
  EXPECT_NE(by_name.out.find("qat.safetensors of the same run is needed"), std::string::npos) << by_name.out;
}

TEST_F(Deploy, VerifyRefusesWhatItCannotCompare) {
  expect_refused(mnv1_qat(Words{"verify", model("int8")} + small_data()), 1,
                 {"nothing to be held against", "qat.safetensors"});
  expect_refused(mnv1_qat(Words{"verify", model("fp32")} + small_data()), 1, {"nothing to be held against"});
  expect_refused(mnv1_qat(Words{"verify", model("qat"), "--onnx", file("missing.onnx")} + small_data()), 1,
                 {"missing.onnx"});
  expect_refused(mnv1_qat(Words{"verify", model("int8"), "--int8", model("int8"), "--onnx", "x"} + small_data()), 1,
                 {"--int8"});
}

TEST_F(Deploy, BenchReportsEveryCase) {
  const Words quick{"--batch", "1,3", "--threads", "1,2", "--seconds", "0.01", "--json"};
  const std::map<std::string, std::vector<std::string>> kinds{{model("qat"), {"fp32", "int8"}},
                                                              {model("fp32"), {"fp32"}},
                                                              {model("int8"), {"int8"}},
                                                              {file("float.safetensors"), {"fp32"}}};
  for (const auto& [path, wanted] : kinds) {
    const Ended ended = mnv1_qat(Words{"bench", path} + quick);
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Json j = Json::parse(ended.out);
    ASSERT_EQ(j["models"].size(), wanted.size()) << path;
    ASSERT_EQ(j["cases"].size(), 4 * wanted.size()) << path;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(j["models"][i]["kind"], wanted[i]);
      EXPECT_GT(j["models"][i]["weight_bytes"], 1000);
      EXPECT_GT(j["models"][i]["load_to_first_answer_ms"], 0);
      EXPECT_GT(j["models"][i]["plan"].size(), 28u);
    }
    for (const Json& one : j["cases"]) {
      EXPECT_GT(one["p50_ms"], 0) << one;
      EXPECT_LE(one["p50_ms"], one["p90_ms"]) << one;
      EXPECT_LE(one["p90_ms"], one["p99_ms"]) << one;
      EXPECT_GT(one["pictures_per_second"], 0) << one;
      EXPECT_GT(one["activation_bytes"], 1000) << one;
      EXPECT_GE(one["runs"], 5) << one;
    }
  }
  const Ended text =
      mnv1_qat({"bench", model("int8"), "--batch", "1", "--threads", "1", "--seconds", "0.01", "--quiet"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("pictures/s"), std::string::npos) << text.out;
}

TEST_F(Deploy, BenchRefusesBadOptionsInOneLine) {
  for (const Words& bad : {Words{"--batch", "0"}, Words{"--batch", "1,x"}, Words{"--threads", "0"},
                           Words{"--threads", "257"}, Words{"--seconds", "0"}, Words{"--seconds", "nan"}})
    expect_refused(mnv1_qat(Words{"bench", model("int8")} + bad), 2, {bad[0]});
  expect_refused(mnv1_qat({"bench", file("missing.safetensors")}), 1, {"missing.safetensors"});
}

TEST_F(Deploy, ServedBenchAnswersLineByLine) {
  const ScratchFolder scratch;
  std::vector<std::unique_ptr<app::BenchSubject>> subjects;
  for (const app::Deployable& one : app::deployables(model("qat"), scratch))
    subjects.push_back(std::make_unique<app::BenchSubject>(one));
  std::istringstream in("run int8 2 1 3\nload fp32 2\n");
  std::ostringstream out;
  app::serve_bench(subjects, in, out);
  std::istringstream lines(out.str());
  std::vector<Json> said;
  for (std::string line; std::getline(lines, line);) said.push_back(Json::parse(line));
  ASSERT_EQ(said.size(), 3u) << out.str();
  EXPECT_EQ(said[0]["kinds"], Json({"fp32", "int8"}));
  EXPECT_EQ(said[1]["seconds"].size(), 3u);
  EXPECT_EQ(said[2]["seconds"].size(), 2u);
  for (const char* bad : {"run int8 0 1 1", "run int8 1 1", "run int8 1 1 1 1", "load int8 0", "walk int8 1 1 1",
                          "run int4 1 1 1", "run int8 x 1 1", ""}) {
    std::istringstream line(std::string(bad) + "\n");
    EXPECT_ERROR(app::serve_bench(subjects, line, out), "[bench] '");
  }
}

TEST(Percentile, IsAValueThatWasMeasured) {
  EXPECT_EQ(app::percentile({}, 0.5), 0);
  EXPECT_EQ(app::percentile({3}, 0.99), 3);
  EXPECT_EQ(app::percentile({4, 1, 3, 2}, 0.5), 2);
  std::vector<double> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i);
  EXPECT_EQ(app::percentile(hundred, 0.9), 90);
  EXPECT_EQ(app::percentile(hundred, 0.99), 99);
  EXPECT_EQ(app::percentile(hundred, 1), 100);
}

TEST(LogitAgreement, CountsClassesAndBits) {
  const Tensor a = Tensor::from<float>({2, 2}, std::vector<float>{1, 1, 0, 2}),
               b = Tensor::from<float>({2, 2}, std::vector<float>{1, 1.5f, 0, 2});
  app::LogitAgreement sum;
  sum.add(a, a);
  EXPECT_TRUE(sum.bit_equal);
  sum.add(a, b);
  EXPECT_FALSE(sum.bit_equal);
  EXPECT_EQ(sum.classes_equal(), 0.75) << "of equal logits the lower class counts";
  EXPECT_EQ(sum.largest_difference, 0.5);
  EXPECT_ERROR(sum.add(a, Tensor::zeros({2, 3})), "not of one net");
}

TEST_F(Deploy, PredictTakesFoldersAndTellsWhatItCannotRead) {
  const Tensor pictures = data::synthetic_shapes(7, 1, 2).test.pictures;
  std::filesystem::create_directories(file("pictures/deeper"));
  for (const char* name : {"pictures/b.png", "pictures/a.PNG"})
    ASSERT_NE(stbi_write_png(file(name).c_str(), 32, 32, 3, pictures.data<std::uint8_t>(), 96), 0);
  write_bytes(file("pictures/notes.txt"), "no picture, not asked for");
  for (const std::string& path : {model("int8"), file("float.safetensors")}) {
    const Ended good = mnv1_qat({"predict", path, file("pictures"), "--json"});
    ASSERT_EQ(good.code, 0) << good.err;
    const Json j = Json::parse(good.out);
    ASSERT_EQ(j.size(), 2u);
    EXPECT_EQ(j[0]["picture"], file("pictures/a.PNG"));
    EXPECT_EQ(j[0]["top5"], j[1]["top5"]) << "the same pixels";
  }
  write_bytes(file("pictures/broken.jpg"), "no picture");
  const Ended one = mnv1_qat({"predict", model("int8"), file("pictures"), "--json"});
  expect_refused(one, 1, {"broken.jpg"});
  const Json j = Json::parse(one.out);
  ASSERT_EQ(j.size(), 3u);
  EXPECT_TRUE(j[0].contains("top5") && j[1].contains("top5"));
  EXPECT_NE(j[2]["error"].get<std::string>().find("broken.jpg"), std::string::npos);
  const Ended several = mnv1_qat({"predict", model("int8"), file("pictures"), file("missing.png")});
  expect_refused(several, 1, {"2 of 4", "broken.jpg", "missing.png"});
  EXPECT_EQ(std::count(several.out.begin(), several.out.end(), '\n'), 2) << "the others are reported";
  expect_refused(mnv1_qat({"predict", model("int8"), file("pictures/deeper")}), 1, {"deeper", "holds no"});
}

/// Every command that runs a model, on the emulated device: integers answer in the processor's bits.
TEST_F(Deploy, CommandsRunOnADevice) {
  if (!gpu::can_emulate()) GTEST_SKIP() << "this build has no emulated device";
  const Environment emulated{{"OCTET_GPU", "emulated"}};
  const Words there{"--device", "cuda"};
  const Tensor pictures = data::synthetic_shapes(9, 1, 1).test.pictures;
  ASSERT_NE(stbi_write_png(file("one.png").c_str(), 32, 32, 3, pictures.data<std::uint8_t>(), 96), 0);
  const Words predict{"predict", model("int8"), file("one.png"), "--json"};
  const Ended here = mnv1_qat(predict), device = mnv1_qat(predict + there, emulated);
  ASSERT_EQ(device.code, 0) << device.err;
  EXPECT_EQ(here.out, device.out);
  EXPECT_EQ(mnv1_qat(Words{"predict", file("float.safetensors"), file("one.png")} + there, emulated).code, 0);

  const Ended verified =
      mnv1_qat(Words{"verify", model("qat"), "--int8", model("int8"), "--json"} + there + small_data(), emulated);
  ASSERT_EQ(verified.code, 0) << verified.err;
  EXPECT_EQ(Json::parse(verified.out)["good"], true);

  const Ended bench =
      mnv1_qat(Words{"bench", model("qat"), "--batch", "3", "--seconds", "0.01", "--json"} + there, emulated);
  ASSERT_EQ(bench.code, 0) << bench.err;
  const Json figures = Json::parse(bench.out);
  EXPECT_EQ(figures["device"], "emulated on the host");
  EXPECT_EQ(figures["cases"].size(), 2u) << "fp32 and int8, one thread of the host";

  const Words dump{"dump-codes", model("int8"), "--pictures", file("one.png")};
  ASSERT_EQ(mnv1_qat(dump + Words{"--out", file("codes_here")}).code, 0);
  ASSERT_EQ(mnv1_qat(dump + Words{"--out", file("codes_there")} + there, emulated).code, 0);
  for (const char* name : {"/blocks.3.pw.conv.npy", "/fc.npy"})
    EXPECT_EQ(bytes_of(file("codes_here") + name), bytes_of(file("codes_there") + name));
}

}  // namespace
