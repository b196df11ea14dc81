// --net: every net through the whole job, and what its files say of it.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

class Nets : public ::testing::Test {
 protected:
  std::string out(const std::string& name) const { return folder_ / name; }
  std::string notes(const std::string& file, const char* key) const {
    return read_safetensors(out(file)).metadata.at(key);
  }
  TempFolder folder_;
};

TEST_F(Nets, EveryNetTrainsQuantizesAndRuns) {
  for (const std::string net : {"mobilenet_v2", "small_resnet"}) {
    SCOPED_TRACE(net);
    const Ended ended = mnv1_qat(Words{"run", "--quiet", "--net", net} + small_run(out(net)));
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Json summary = Json::parse(bytes_of(out(net + "/summary.json")));
    EXPECT_EQ(summary["code_mismatches"], 0);
    for (const std::string kind : {"fp32", "qat", "int8"}) {
      const std::string file = out(net + "/" + kind + ".safetensors");
      const Ended evaluated = mnv1_qat(Words{"evaluate", file, "--json"} + small_data());
      ASSERT_EQ(evaluated.code, 0) << evaluated.err;
      EXPECT_EQ(Json::parse(evaluated.out)["top1"], summary[kind + "_top1"]) << kind;
      if (kind != "int8") {
        EXPECT_EQ(notes(net + "/" + kind + ".safetensors", "model"), net);
      }
    }
    ASSERT_EQ(mnv1_qat({"export", out(net + "/qat.safetensors"), "--out", out("again")}).code, 0);
    EXPECT_EQ(bytes_of(out("again")), bytes_of(out(net + "/int8.safetensors")));
    const Ended tuned = mnv1_qat(Words{"qat", out(net + "/fp32.safetensors"), "--quiet", "--limit-train", "32",
                                       "--batch-size", "16", "--qat-epochs", "1", "--out", out(net + "-qat")} +
                                 small_data());
    EXPECT_EQ(tuned.code, 0) << tuned.err;
    EXPECT_EQ(notes(net + "-qat/qat.safetensors", "model"), net);
  }
}

// Files and checkpoints written before --net are those of mobilenet_v1: nothing in them has changed.
TEST_F(Nets, TheDefaultIsWhatItAlwaysWas) {
  const Words words = Words{"pretrain", "--quiet", "--epochs", "0", "--scale", "0.25"} + small_data();
  ASSERT_EQ(mnv1_qat(words + Words{"--out", out("a")}).code, 0);
  ASSERT_EQ(mnv1_qat(words + Words{"--out", out("b"), "--net", "mobilenet_v1"}).code, 0);
  EXPECT_EQ(bytes_of(out("a/fp32.safetensors")), bytes_of(out("b/fp32.safetensors")));
  EXPECT_EQ(notes("a/fp32.safetensors", "model"), "mobilenet_v1");
  EXPECT_FALSE(Json::parse(notes("a/fp32.safetensors", "tag")).contains("net"));
}

TEST_F(Nets, WhatCannotBe) {
  expect_refused(mnv1_qat({"run", "--net", "vgg"}), 2, {"--net", "mobilenet_v1|mobilenet_v2|small_resnet", "'vgg'"});
  expect_refused(mnv1_qat({"run", "--net", "small_resnet", "--variant", "cifar"}), 2,
                 {"small_resnet has no --variant"});
  expect_refused(mnv1_qat({"run", "--sharpness-aware", "0.1", "--device", "cuda"}), 2,
                 {"--sharpness-aware trains on the processor only"});
  expect_refused(mnv1_qat({"run", "--coarse-epochs", "1"}), 2, {"--coarse-epochs is for --variant cifar"});
  expect_refused(mnv1_qat({"pretrain", "--variant", "cifar", "--epochs", "3", "--coarse-epochs", "3"}), 2,
                 {"--coarse-epochs 3 leaves no epoch of 3"});
  const Words words = Words{"pretrain",     "--quiet", "--scale",  "0.25", "--limit-train", "32",
                            "--batch-size", "16",      "--epochs", "1",    "--out",         out("r")} +
                      small_data();
  ASSERT_EQ(mnv1_qat(words).code, 0);
  expect_refused(mnv1_qat(words + Words{"--resume", "--net", "mobilenet_v2"}), 1,
                 {"net was nothing, is \"mobilenet_v2\""});
  TensorFile file = read_safetensors(out("r/fp32.safetensors"));
  file.metadata["model"] = "vgg";
  write_safetensors(out("vgg.safetensors"), file.tensors, file.metadata);
  expect_refused(mnv1_qat(Words{"evaluate", out("vgg.safetensors")} + small_data()), 1,
                 {"vgg.safetensors", "none of mobilenet_v1, mobilenet_v2, small_resnet"});
  file.metadata["model"] = "mobilenet_v2";
  write_safetensors(out("other.safetensors"), file.tensors, file.metadata);
  expect_refused(mnv1_qat(Words{"evaluate", out("other.safetensors")} + small_data()), 1, {"tensor"});
}

}  // namespace
