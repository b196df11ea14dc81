// What one does with a run's files: evaluate, export, predict, dump-codes.
#include <gtest/gtest.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/guesses.h"
#include "core/npy.h"
#include "data/dataset.h"
#include "program.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

class Use : public ::testing::Test {
 protected:
  // One training serves all of a process's tests.
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Ended ended = mnv1_qat(Words{"run", "--quiet"} + small_run(file("run")));
    ASSERT_EQ(ended.code, 0) << ended.err;
    picture_ = data::synthetic_shapes(2026, 1, 2).test.pictures;
    const std::uint8_t* pixels = picture_.data<std::uint8_t>();
    ASSERT_NE(stbi_write_png(file("a.png").c_str(), 32, 32, 3, pixels, 96), 0);
    ASSERT_NE(stbi_write_jpg(file("b.jpg").c_str(), 32, 32, 3, pixels + data::kPictureBytes, 95), 0);
    std::vector<std::uint8_t> large(100 * 60, 77);
    ASSERT_NE(stbi_write_png(file("grey.png").c_str(), 100, 60, 1, large.data(), 100), 0);
  }
  static void TearDownTestSuite() {
    delete folder_;
    picture_ = {};
  }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static std::string model(const std::string& kind) { return file("run/" + kind + ".safetensors"); }

  static inline TempFolder* folder_ = nullptr;
  static inline Tensor picture_;
};

TEST_F(Use, EvaluateAgreesWithTheSummary) {
  const Json summary = Json::parse(bytes_of(file("run/summary.json")));
  for (const char* kind : {"fp32", "qat", "int8"}) {
    const Ended ended = mnv1_qat(Words{"evaluate", model(kind), "--json"} + small_data());
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Json j = Json::parse(ended.out);
    EXPECT_EQ(j["top1"], summary[std::string(kind) + "_top1"]) << kind;
    EXPECT_EQ(j["top5"], summary[std::string(kind) + "_top5"]) << kind;
    EXPECT_EQ(j["pictures"], 40);
    EXPECT_EQ(j["data"], "synthetic");
  }
}

TEST_F(Use, ExportOfQatIsTheRunsInt8File) {
  const Ended ended = mnv1_qat({"export", model("qat"), "--out", file("again.safetensors"), "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(Json::parse(ended.out)["scheme"], "octet");
  EXPECT_EQ(bytes_of(file("again.safetensors")), bytes_of(model("int8")));
  expect_refused(mnv1_qat({"export", model("fp32"), "--format", "onnx", "--out", file("x")}), 1,
                 {"without quantizers"});
  expect_refused(mnv1_qat({"export", model("int8"), "--out", file("x")}), 1, {"int8"});
  expect_refused(mnv1_qat({"export", model("qat"), "--out", file("no/such/x")}), 1, {"no/such/x"});
}

TEST_F(Use, PredictReadsPngAndJpeg) {
  const Ended text = mnv1_qat({"predict", model("int8"), file("a.png"), file("b.jpg"), file("grey.png")});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 3);
  for (const char* kind : {"fp32", "qat", "int8"}) {
    const Json j = Json::parse(mnv1_qat({"predict", model(kind), file("a.png"), file("b.jpg"), "--json"}).out);
    ASSERT_EQ(j.size(), 2u);
    EXPECT_EQ(j[1]["picture"], file("b.jpg"));
    ASSERT_EQ(j[0]["top5"].size(), 5u);
    double before = 1;
    for (const Json& guess : j[0]["top5"]) {
      const double p = guess["probability"].get<double>();
      EXPECT_LE(p, before);
      EXPECT_GE(p, 0);
      before = p;
    }
  }
}

TEST_F(Use, DumpCodesWritesEveryLayer) {
  const Ended ended =
      mnv1_qat(Words{"dump-codes", model("int8"), "--index", "0,1", "--out", file("codes"), "--json"} + small_data());
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json j = Json::parse(ended.out);
  EXPECT_EQ(j["pictures"], 2);
  EXPECT_GT(j["files"].size(), 28u);
  for (const Json& name : j["files"])
    EXPECT_EQ(read_npy(file("codes/" + name.get<std::string>())).shape()[0], 2) << name;
  const Tensor pictures = read_npy(file("codes/pictures.npy"));
  EXPECT_EQ(std::memcmp(pictures.raw(), picture_.raw(), 2 * data::kPictureBytes), 0) << "test pictures 0 and 1";

  // The same picture from a lossless file gives the same codes.
  ASSERT_EQ(mnv1_qat({"dump-codes", model("int8"), "--pictures", file("a.png"), "--out", file("one")}).code, 0);
  for (const Json& name : j["files"]) {
    const Tensor one = read_npy(file("one/" + name.get<std::string>())),
                 two = read_npy(file("codes/" + name.get<std::string>()));
    EXPECT_EQ(std::memcmp(one.raw(), two.raw(), one.nbytes()), 0) << name;
  }
  expect_refused(mnv1_qat(Words{"dump-codes", model("int8"), "--index", "40", "--out", file("codes")} + small_data()),
                 1, {"40"});
  expect_refused(mnv1_qat({"dump-codes", model("qat"), "--pictures", file("a.png"), "--out", file("codes")}), 1,
                 {"qat.safetensors"});
}

TEST_F(Use, WhatIsNoPictureOrModelIsRefusedInOneLine) {
  write_bytes(file("text.png"), "this is no picture");
  write_bytes(file("empty.jpg"), "");
  write_bytes(file("cut.png"), bytes_of(file("a.png")).substr(0, 200));
  for (const char* name : {"text.png", "empty.jpg", "cut.png", "missing.png"})
    expect_refused(mnv1_qat({"predict", model("int8"), file("a.png"), file(name)}), 1, {name});
  expect_refused(mnv1_qat({"predict", model("int8"), file("run")}), 1, {"run"});
  for (const Words& words :
       {Words{"predict", file("a.png"), file("a.png")}, Words{"evaluate", file("a.png"), "--data", "synthetic"},
        Words{"evaluate", file("missing.safetensors"), "--data", "synthetic"},
        Words{"qat", file("text.png"), "--data", "synthetic"}})
    expect_refused(mnv1_qat(words + (words[0] == "qat" ? Words{"--out", file("q")} : Words{})), 1, {words[1]});
  expect_refused(mnv1_qat(Words{"qat", model("qat"), "--out", file("q")} + small_data()), 1, {"quantized already"});
  expect_refused(mnv1_qat(Words{"qat", model("int8"), "--out", file("q")} + small_data()), 1, {"int8"});
}

TEST_F(Use, CutModelsAreRefused) {
  for (const char* kind : {"fp32", "qat", "int8"}) {
    const std::string whole = bytes_of(model(kind));
    for (const std::size_t length : {std::size_t{0}, std::size_t{7}, whole.size() / 2, whole.size() - 1}) {
      write_bytes(file("cut.safetensors"), whole.substr(0, length));
      expect_refused(mnv1_qat({"predict", file("cut.safetensors"), file("a.png")}), 1, {"cut.safetensors"});
    }
    std::string flipped = whole;
    flipped[flipped.size() - 100] = static_cast<char>(flipped[flipped.size() - 100] ^ 1);
    write_bytes(file("cut.safetensors"), flipped);
    expect_refused(mnv1_qat({"predict", file("cut.safetensors"), file("a.png")}), 1, {"cut.safetensors"});
  }
}

TEST(Guesses, LikeliestFirstWithTheirNames) {
  const Tensor logits = Tensor::from(Shape{2, 3}, std::vector<float>{0, 2, 1, 5, 0, 5});
  const auto rows = app::likeliest(logits, {"a", "b", "c"}, 2);
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0].size(), 2u);
  EXPECT_EQ(rows[0][0].name, "b");
  EXPECT_EQ(rows[0][1].name, "c");
  EXPECT_EQ(rows[1][0].name, "a") << "the lower class among equals";
  EXPECT_EQ(rows[1][1].name, "c");
  EXPECT_NEAR(rows[0][0].probability, std::exp(2) / (1 + std::exp(1) + std::exp(2)), 1e-6);
  EXPECT_ERROR(app::likeliest(logits, {"a", "b"}, 1), "for 2 classes");
}

}  // namespace
