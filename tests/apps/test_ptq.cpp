// ptq: an fp32 file becomes an integer model in one call.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

class Ptq : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Ended ended = mnv1_qat(Words{"pretrain", "--quiet"} + small_pretrain(file("fp32")));
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static Words words(const std::string& out, const Words& more = {}) {
    return Words{"ptq",    file("fp32/fp32.safetensors"), "--calibrate", "64", "--limit-train", "128", "--out",
                 file(out)} +
           small_data() + more;
  }
  static Json ptq(const std::string& out, const Words& more = {}) {
    const Ended ended = mnv1_qat(words(out, more) + Words{"--json"});
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err, "");
    return Json::parse(ended.out);
  }

  static inline TempFolder* folder_ = nullptr;
};

TEST_F(Ptq, WritesModelsThatScoreAsItSays) {
  const Json j = ptq("a");
  EXPECT_EQ(j["net"], "mobilenet_v1");
  EXPECT_EQ(j["scheme"], "octet");
  EXPECT_EQ(j["calibration_pictures"], 64);
  EXPECT_EQ(j["test_pictures"], 40);
  EXPECT_GT(j["seconds"].get<double>(), 0);
  EXPECT_EQ(j["int8_bytes"], std::filesystem::file_size(file("a/int8.safetensors")));
  const auto score = [&](const std::string& model) {
    return Json::parse(mnv1_qat(Words{"evaluate", file(model), "--json"} + small_data()).out);
  };
  EXPECT_EQ(score("fp32/fp32.safetensors")["top1"], j["fp32_top1"]);
  const Json int8 = score("a/int8.safetensors");
  EXPECT_EQ(int8["kind"], "int8");
  EXPECT_EQ(int8["top1"], j["ptq_top1"]);
  EXPECT_EQ(int8["top5"], j["ptq_top5"]);
  EXPECT_EQ(score("a/ptq.safetensors")["kind"], "QAT");
  ASSERT_EQ(mnv1_qat({"export", file("a/ptq.safetensors"), "--out", file("again")}).code, 0);
  EXPECT_EQ(bytes_of(file("again")), bytes_of(file("a/int8.safetensors")));
  const Ended text = mnv1_qat(words("a"));
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part : {"top-1", "top-5", "int8 engine", "SYNTHETIC", "64 pictures"})
    EXPECT_NE(text.out.find(part), std::string::npos) << text.out;
}

TEST_F(Ptq, FollowsFromItsOptionsAlone) {
  ptq("one", {"--threads", "1"}), ptq("two", {"--threads", "2"});
  EXPECT_EQ(bytes_of(file("one/int8.safetensors")), bytes_of(file("two/int8.safetensors")));
  EXPECT_EQ(bytes_of(file("one/ptq.safetensors")), bytes_of(file("two/ptq.safetensors")));
  const Words few{"--weight-bits", "4", "--adaround", "4"};
  ptq("rounded_one", few + Words{"--threads", "1"}), ptq("rounded_two", few + Words{"--threads", "2"});
  EXPECT_EQ(bytes_of(file("rounded_one/ptq.safetensors")), bytes_of(file("rounded_two/ptq.safetensors")));
  ptq("other", {"--seed", "2"});
  EXPECT_NE(bytes_of(file("one/int8.safetensors")), bytes_of(file("other/int8.safetensors")));
}

TEST_F(Ptq, ReportsSayWhatAdaroundLeavesBehind) {
  const auto says = [&](const char* folder) {
    const Ended ended = mnv1_qat(Words{"report", file(folder), "-o", file("page.html")} + small_data());
    EXPECT_EQ(ended.code, 0) << ended.err;
    return bytes_of(file("page.html")).find("AdaRound has left rounded weights") != std::string::npos;
  };
  ptq("nearest", {}), ptq("learned", {"--weight-bits", "4", "--adaround", "2"});
  EXPECT_FALSE(says("nearest"));
  EXPECT_TRUE(says("learned"));
}

TEST_F(Ptq, TakesTheOptionsOfQat) {
  for (const Words& more :
       {Words{"--scheme", "paddle"}, Words{"--scheme", "tensorrt"}, Words{"--weight-bits", "4"},
        Words{"--weight-quantize-type", "abs_max", "--activation-quantize-type", "min_max"},
        Words{"--fuse-conv-bn", "true"}, Words{"--equalize", "cross_layer", "--bias-correction", "empirical"},
        Words{"--equalize", "cross_layer_absorb", "--bias-correction", "analytic"},
        Words{"--adaround", "3", "--batch-norm", "folded"}}) {
    const Json j = ptq("options", more);
    EXPECT_EQ(j["scheme"], more[0] == "--scheme" ? more[1] : "octet");
  }
}

TEST_F(Ptq, WhatCannotBe) {
  expect_refused(mnv1_qat(words("x", {"--weight-quantize-type", "lsq"})), 1, {"weight_quantize_type lsq", "learned"});
  expect_refused(mnv1_qat(words("x", {"--activation-preprocess-type", "PACT"})), 1, {"PACT"});
  expect_refused(mnv1_qat(words("x", {"--adaround", "3", "--bias-correction", "empirical"})), 2,
                 {"adaround_steps", "bias_correction empirical", "HINT"});
  expect_refused(mnv1_qat(words("x", {"--calibrate", "0"})), 2, {"--calibrate"});
  expect_refused(mnv1_qat(words("x", {"--equalize", "yes"})), 2, {"equalize 'yes' is unknown", "cross_layer"});
  expect_refused(
      mnv1_qat(Words{"qat", file("fp32/fp32.safetensors"), "--bias-correction", "empirical", "--out", file("x")} +
               small_data()),
      1, {"bias_correction empirical", "use ptq"});
  expect_refused(
      mnv1_qat(Words{"qat", file("fp32/fp32.safetensors"), "--adaround", "100", "--out", file("x")} + small_data()), 1,
      {"adaround_steps 100", "use ptq"});
  expect_refused(mnv1_qat(words("x", {"--adaround", "9", "--weight-quantize-type", "mse"})), 2,
                 {"adaround_steps", "abs_max"});
  expect_refused(mnv1_qat(words("x", {"--adaround", "-3"})), 2, {"adaround_steps is -3"});
  ptq("q");
  expect_refused(mnv1_qat(Words{"ptq", file("q/ptq.safetensors"), "--out", file("x")} + small_data()), 1,
                 {"quantized already"});
  expect_refused(mnv1_qat(Words{"ptq", file("q/int8.safetensors"), "--out", file("x")} + small_data()), 1, {"int8"});
  expect_refused(mnv1_qat(Words{"ptq", file("missing"), "--out", file("x")} + small_data()), 1, {"missing"});
  EXPECT_FALSE(std::filesystem::exists(file("x"))) << "refused before anything is made";
  std::filesystem::create_directories(file("tuned"));
  write_bytes(file("tuned/qat.safetensors"), "");
  expect_refused(mnv1_qat(words("tuned")), 1, {"results of a fine-tuning"});
}

}  // namespace
