// --profile: a trace that opens, tables that add up, and nothing lost when the trace cannot be written.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

Json stage_of(const Json& profile, const std::string& name) {
  for (const Json& stage : profile.at("stages"))
    if (stage.at("stage") == name) return stage;
  ADD_FAILURE() << "no stage " << name;
  return {};
}

TEST(Profile, ARunTellsWhereItsTimeWent) {
  const TempFolder folder;
  const std::string trace = folder / "trace.json";
  const Ended ended = mnv1_qat(Words{"run", "--profile", trace} + small_run(folder / "out"));
  ASSERT_EQ(ended.code, 0) << ended.err;
  for (const char* part : {"pretrain: 16 steps", "qat: 8 steps", "blocks.12.pw", "optimizer", "trace.layers.txt"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part;

  std::set<std::string> names, categories;
  const Json events = Json::parse(bytes_of(trace)).at("traceEvents");
  for (const Json& event : events) {
    names.insert(event.at("name"));
    if (event.at("ph") == "X") categories.insert(event.at("cat"));
  }
  for (const char* name : {"load data", "pretrain", "qat", "compare", "training step", "evaluation", "data", "forward",
                           "loss", "backward", "optimizer", "make batch", "checkpoint", "blocks.3.dw", "momentum"})
    EXPECT_TRUE(names.contains(name)) << name;
  for (const char* category : {"stage", "step", "phase", "module", "op", "kernel"})
    EXPECT_TRUE(categories.contains(category)) << category;

  const Json profile = Json::parse(bytes_of(folder / "trace.layers.json"));
  EXPECT_EQ(profile.at("spans_left_out"), 0);
  for (const char* name : {"pretrain", "qat"}) {
    const Json stage = stage_of(profile, name);
    double phases = 0, layers = 0, passes = 0;
    for (const Json& phase : stage.at("phases")) {
      phases += phase.at("ms").get<double>();
      EXPECT_GE(phase.at("ms").get<double>(), -1e-3) << phase;
      if (phase.at("phase") == "forward" || phase.at("phase") == "backward") passes += phase.at("ms").get<double>();
    }
    for (const Json& layer : stage.at("layers"))
      layers += layer.at("forward_ms").get<double>() + layer.at("backward_ms").get<double>();
    EXPECT_NEAR(phases, stage.at("step_ms").get<double>(), 0.02) << name;
    // The rest is autograd's own, and whatever else the machine did between two layers.
    EXPECT_GT(layers, 0) << name;
    EXPECT_LE(layers, passes + 0.02) << name;
  }
  EXPECT_EQ(bytes_of(folder / "trace.layers.txt").substr(0, 7), "Profile");
}

TEST(Profile, ItChangesNoBit) {
  const TempFolder folder;
  ASSERT_EQ(mnv1_qat(Words{"pretrain", "--quiet"} + small_pretrain(folder / "a")).code, 0);
  const Ended profiled =
      mnv1_qat(Words{"pretrain", "--json", "--profile", folder / "t"} + small_pretrain(folder / "b"));
  ASSERT_EQ(profiled.code, 0) << profiled.err;
  EXPECT_TRUE(Json::parse(profiled.out).contains("first_step_seconds"));  // and no table on stdout
  EXPECT_EQ(bytes_of(folder / "a/fp32.safetensors"), bytes_of(folder / "b/fp32.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "t.layers.json"));
}

TEST(Profile, ABadPathIsRefusedBeforeTheWork) {
  const TempFolder folder;
  for (const std::string& path : {folder / "none/trace.json", folder.path().string(), std::string("/dev/full")})
    expect_refused(mnv1_qat(Words{"run", "--profile", path} + small_run(folder / "out")), 1, {path});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Profile, ATraceThatCannotBeWrittenLosesNoResult) {
  const TempFolder folder;
  const std::string trace = folder / "trace.json", out = folder / "out";
  Program program(Words{"mnv1_qat", "run", "--quiet", "--profile", trace} + small_run(out));
  while (program.is_running() && !fs::exists(out)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  fs::create_directory(trace);  // the path was good when the run began
  const Ended ended = program.wait();
  expect_refused(ended, 1, {trace});
  EXPECT_NE(ended.out.find("Results on"), std::string::npos);
  EXPECT_TRUE(fs::exists(out + "/int8.safetensors"));
  EXPECT_TRUE(Json::parse(bytes_of(out + "/summary.json")).contains("int8_top1"));
}

TEST(Profile, AFailedRunStillLeavesItsTrace) {
  const TempFolder folder;
  expect_refused(mnv1_qat(Words{"pretrain", "--quiet", "--lr", "1e30", "--profile", folder / "t.json"} +
                          small_pretrain(folder / "out")),
                 1, {"HINT lower --lr"});
  EXPECT_TRUE(Json::parse(bytes_of(folder / "t.json")).contains("traceEvents"));
}

}  // namespace
