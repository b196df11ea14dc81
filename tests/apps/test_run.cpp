// The whole tutorial on generated pictures, small: files, figures, equal bytes whatever the way there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/cpu_features.h"
#include "core/safetensors.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const Words kModels{"fp32.safetensors", "qat.safetensors", "int8.safetensors"};

class Run : public ::testing::Test {
 protected:
  std::string out(const std::string& name) const { return folder_ / name; }
  // Runs to its end; the summary.
  Json run(const std::string& name, const Words& more = {}, const Environment& environment = {}) const {
    const Ended ended = mnv1_qat(Words{"run", "--quiet"} + small_run(out(name)) + more, environment);
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err, "");
    return Json::parse(bytes_of(out(name) + "/summary.json"));
  }
  void expect_same_models(const std::string& a, const std::string& b, const Words& files = kModels) const {
    for (const std::string& file : files)
      EXPECT_EQ(bytes_of(out(a) + "/" + file), bytes_of(out(b) + "/" + file)) << file << " of " << b;
  }
  TempFolder folder_;
};

TEST_F(Run, SummaryHasEveryFigure) {
  const Json s = run("r", {"--seed", "3", "--threads", "2"});
  EXPECT_EQ(s["data"], "synthetic");
  EXPECT_EQ(s["seed"], 3);
  EXPECT_EQ(s["threads"], 2);
  EXPECT_EQ(s["scheme"], "octet");
  for (const char* key :
       {"fp32_top1", "fp32_top5", "qat_top1", "qat_top5", "int8_top1", "int8_top5", "class_agreement"}) {
    EXPECT_GE(s[key].get<double>(), 0) << key;
    EXPECT_LE(s[key].get<double>(), 1) << key;
  }
  for (const char* stage : {"fp32", "qat", "int8"})
    EXPECT_LE(s[std::string(stage) + "_top1"].get<double>(), s[std::string(stage) + "_top5"].get<double>());
  for (const char* key : {"pretrain_seconds", "qat_seconds", "total_seconds", "fp32_step_ms", "qat_step_ms",
                          "int8_images_per_second", "fp32_images_per_second"})
    EXPECT_GT(s[key].get<double>(), 0) << key;
  EXPECT_GE(s["total_seconds"].get<double>(), s["pretrain_seconds"].get<double>() + s["qat_seconds"].get<double>());
  EXPECT_EQ(s["code_mismatches"], 0);
  EXPECT_GE(s["logit_max_abs_diff"].get<double>(), 0);
  EXPECT_EQ(s["parameters"], 215642);
  EXPECT_EQ(s["fp32_bytes"], fs::file_size(out("r/fp32.safetensors")));
  EXPECT_EQ(s["int8_bytes"], fs::file_size(out("r/int8.safetensors")));
  EXPECT_GT(s["peak_rss_bytes"].get<std::int64_t>(), 10 << 20);
  EXPECT_NEAR(s["peak_rss_mb"].get<double>(), s["peak_rss_bytes"].get<double>() * 1e-6, 1);
  EXPECT_GT(s["first_step_seconds"].get<double>(), 0);
  EXPECT_LT(s["first_step_seconds"].get<double>(), s["total_seconds"].get<double>() + 1);
  EXPECT_GT(s["data_share"].get<double>(), 0);
  EXPECT_LT(s["data_share"].get<double>(), 1);
  EXPECT_EQ(s.size(), 27u);
  for (const auto& entry : fs::directory_iterator(out("r")))
    EXPECT_EQ(entry.path().string().find("checkpoint"), std::string::npos) << entry.path();
}

TEST_F(Run, MetricsAreOneObjectALine) {
  run("r", {"--batch-size", "4"});
  std::ifstream file(out("r/metrics.jsonl"));
  Words events;
  for (std::string line; std::getline(file, line);) {
    const Json j = Json::parse(line, nullptr, false);
    ASSERT_TRUE(j.is_object()) << line;
    EXPECT_GE(j["loss"].get<double>(), 0);
    events.push_back(j["event"].get<std::string>() + " " + j["stage"].get<std::string>());
  }
  const Words steps(3, "step pretrain"), fine(3, "step qat");
  const Words first = steps + Words{"epoch pretrain"} + steps + Words{"epoch pretrain", "evaluate fp32 test"};
  const Words last{"epoch qat", "evaluate qat test", "evaluate int8 test"};
  EXPECT_EQ(events, first + fine + last);
}

class Schemes : public Run, public ::testing::WithParamInterface<const char*> {};

TEST_P(Schemes, SimulatorAndEngineAgreeOnEveryCode) {
  const Json s = run("r", {"--scheme", GetParam()});
  EXPECT_EQ(s["scheme"], GetParam());
  EXPECT_EQ(s["code_mismatches"], 0);
  EXPECT_EQ(read_safetensors(out("r/int8.safetensors")).meta("octet.kind"), "int8");
}

INSTANTIATE_TEST_SUITE_P(Octet, Schemes, ::testing::Values("octet", "paddle", "tensorrt"));

TEST_F(Run, PretrainThenQatGivesTheBytesOfRun) {
  run("whole");
  const Ended first = mnv1_qat(Words{"pretrain"} + small_pretrain(out("parts")));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_FALSE(fs::exists(out("parts/pretrain.checkpoint.safetensors")));
  const Words common = small_data() + Words{"--limit-train", "128", "--batch-size", "16", "--qat-epochs", "1"};
  const Ended second = mnv1_qat(Words{"qat", out("parts/fp32.safetensors"), "--out", out("parts")} + common);
  ASSERT_EQ(second.code, 0) << second.err;
  expect_same_models("whole", "parts");
  const Json s = Json::parse(bytes_of(out("parts/summary.json")));
  EXPECT_GT(s["pretrain_seconds"].get<double>(), 0) << "the pre-training of the same folder counts";
  EXPECT_NE(bytes_of(out("parts/metrics.jsonl")).find("\"stage\":\"pretrain\""), std::string::npos);

  ASSERT_EQ(mnv1_qat(Words{"qat", out("parts/fp32.safetensors"), "--out", out("elsewhere")} + common).code, 0);
  expect_same_models("whole", "elsewhere", {"qat.safetensors", "int8.safetensors"});
}

TEST_F(Run, ThreadsAndInstructionSetsGiveTheSameBytes) {
  run("one", {"--threads", "1"});
  run("two", {"--threads", "2"});
  run("three", {"--threads", "3"});
  expect_same_models("one", "two");
  expect_same_models("one", "three");
  run("reference", {}, {{"OCTET_ISA", "reference"}});
  expect_same_models("one", "reference");
  if (!detected(Isa::avx2)) return;
  run("avx2", {}, {{"OCTET_ISA", "avx2"}});
  expect_same_models("one", "avx2");
}

TEST_F(Run, SeedsDiffer) {
  run("a", {"--seed", "1"});
  run("b", {"--seed", "2"});
  EXPECT_NE(bytes_of(out("a/fp32.safetensors")), bytes_of(out("b/fp32.safetensors")));
}

struct Method {
  const char* name;
  Words options;
};
std::ostream& operator<<(std::ostream& stream, const Method& method) { return stream << method.name; }

class Methods : public Run, public ::testing::WithParamInterface<Method> {};

TEST_P(Methods, RunEndToEnd) { EXPECT_EQ(run("r", GetParam().options)["code_mismatches"], 0); }

INSTANTIATE_TEST_SUITE_P(
    Octet, Methods,
    ::testing::Values(
        Method{"pact", {"--weight-preprocess-type", "PACT", "--activation-preprocess-type", "PACT"}},
        Method{"lsq", {"--weight-quantize-type", "channel_wise_lsq", "--activation-quantize-type", "lsq"}},
        Method{"lsq_plus",
               {"--activation-quantize-type", "lsq", "--activation-affine", "true", "--activation-bits", "4"}},
        Method{"fuse", {"--fuse-conv-bn", "true", "--lr", "0.002"}},
        Method{"pact_decay", {"--activation-preprocess-type", "PACT", "--pact-decay", "0.01"}},
        Method{"folded", {"--batch-norm", "folded", "--weight-quantize-type", "abs_max"}},
        Method{"batch_norm", {"--batch-norm-freeze-epoch", "0", "--batch-norm-reestimate", "2", "--lr", "0.002"}},
        Method{"freezing",
               {"--weight-bits", "3", "--oscillation-threshold", "0.02", "--oscillation-threshold-end", "0.01"}},
        Method{"dampening", {"--weight-bits", "4", "--dampening", "0.01"}},
        Method{"distill", {"--weight-bits", "4", "--distill", "0.7", "--distill-temperature", "3"}},
        Method{"window", {"--activation-quantize-type", "range_abs_max", "--window-size", "3"}},
        Method{"four_bits", {"--weight-bits", "4", "--activation-bits", "4"}},
        Method{"dorefa", {"--weight-preprocess-type", "DoReFa", "--activation-quantize-type", "dorefa"}},
        Method{"affine", {"--activation-quantize-type", "min_max"}},
        Method{"all",
               {"--weight-preprocess-type", "PACT", "--activation-quantize-type", "range_abs_max", "--fuse-conv-bn",
                "true", "--weight-bits", "4", "--activation-bits", "4", "--scheme", "paddle"}},
        Method{"cifar",
               {"--variant",
                "cifar",
                "--init",
                "paddle",
                "--augment",
                "crop-flip",
                "--schedule",
                "cosine",
                "--weight-decay",
                "0.0001",
                "--nesterov",
                "--label-smoothing",
                "0.1",
                "--cutout",
                "12",
                "--sharpness-aware",
                "0.05",
                "--warmup-steps",
                "2",
                "--deterministic"}},
        Method{"coarse", {"--variant", "cifar", "--epochs", "2", "--coarse-epochs", "1", "--init", "identity"}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
