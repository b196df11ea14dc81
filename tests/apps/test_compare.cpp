// compare: a grid of methods, bits and seeds, its rows whatever interrupts them, and what is made of them.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "apps/mnv1_qat/grid_results.h"
#include "apps/mnv1_qat/methods.h"
#include "core/gpu/gpu.h"
#include "program.h"
#include "quant/calibration/ptq.h"
#include "small_disk.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// One step of pre-training and one of fine-tuning a net.
Words small_grid(const std::string& out) {
  return Words{"compare", "--limit-train", "32", "--scale", "0.25", "--batch-size", "32", "--epochs",
               "1",       "--qat-epochs",  "1",  "--lr",    "0.02", "--out",        out} +
         small_data();
}

class Compare : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Ended ended = mnv1_qat(small_grid(file("grid")) + kGrid + Words{"--json", "--keep-models"});
    ASSERT_EQ(ended.code, 0) << ended.err;
    told_ = Json::parse(ended.out);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static inline const Words kGrid{"--methods", "ste,lsq,ptq_abs_max", "--bits", "8,4", "--seeds", "2"};
  static inline TempFolder* folder_ = nullptr;
  static inline Json told_;
};

std::vector<Json> rows_in(const std::string& folder) {
  std::istringstream file(bytes_of(folder + "/rows.jsonl"));
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(Json::parse(line));
  return rows;
}

TEST_F(Compare, HasARowForEveryCellAndAResultOverSeeds) {
  const auto rows = rows_in(file("grid"));
  ASSERT_EQ(rows.size(), 2u * (1 + 3 * 2));
  for (const Json& row : rows) EXPECT_EQ(row["pictures"], 40) << row;
  EXPECT_EQ(rows[0]["method"], "fp32");
  EXPECT_EQ(rows[1]["made_by"]["quant"]["weight_bits"], 8);
  ASSERT_EQ(told_["results"].size(), 1u + 3 * 2);
  const Json& ste = told_["results"][1];
  EXPECT_EQ(ste["method"], "ste");
  EXPECT_EQ(ste["seeds"], 2);
  const double first = rows[1]["top1"], second = rows[8]["top1"];
  ASSERT_EQ(rows[8]["method"], "ste");
  EXPECT_DOUBLE_EQ(ste["top1"]["mean"].get<double>(), (first + second) / 2);
  EXPECT_NEAR(ste["top1"]["spread"].get<double>(), std::fabs(first - second) / std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(ste["difference"]["mean"].get<double>(),
              (first - rows[0]["top1"].get<double>() + second - rows[7]["top1"].get<double>()) / 2, 1e-12);
  EXPECT_LT(told_["results"][4]["packed_bytes"].get<int>(), ste["packed_bytes"].get<int>())
      << "four bits are less than eight";
  const std::string table = bytes_of(file("grid/compare.md")), csv = bytes_of(file("grid/compare.csv"));
  EXPECT_NE(table.find("| ptq_abs_max |    4 |"), std::string::npos) << table;
  EXPECT_NE(table.find("SYNTHETIC"), std::string::npos);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 8);
  EXPECT_NE(bytes_of(file("grid/compare.svg")).find("ptq_abs_max"), std::string::npos);
}

TEST_F(Compare, TheEngineScoresTheFilesThatAreKept) {
  const auto rows = rows_in(file("grid"));
  for (const auto& [at, folder, trained] : {std::tuple{1, "ste-8", "qat"}, {6, "ptq_abs_max-4", "ptq"}}) {
    const std::string base = file("grid/seed1/") + folder;
    const Ended int8 = mnv1_qat(Words{"evaluate", base + "/int8.safetensors", "--json"} + small_data());
    ASSERT_EQ(int8.code, 0) << int8.err;
    EXPECT_EQ(Json::parse(int8.out)["top1"], rows[static_cast<std::size_t>(at)]["top1"]);
    const Ended qat = mnv1_qat(Words{"evaluate", base + "/" + trained + ".safetensors", "--json"} + small_data());
    EXPECT_EQ(Json::parse(qat.out)["top1"], rows[static_cast<std::size_t>(at)]["fake_quant_top1"]);
    EXPECT_EQ(mnv1_qat(Words{"report", base, "-o", file("r.html"), "--quiet"} + small_data()).code, 0);
  }
}

TEST_F(Compare, ACellIsWhatQatAndPtqMake) {
  const Words data = Words{"--limit-train", "32", "--batch-size", "32", "--seed", "2", "--quiet"} + small_data();
  const std::string floats = file("grid/seed2/fp32.safetensors");
  const Words lsq{"--weight-quantize-type",
                  "channel_wise_lsq",
                  "--activation-quantize-type",
                  "lsq",
                  "--weight-bits",
                  "4",
                  "--activation-bits",
                  "4"};
  ASSERT_EQ(mnv1_qat(Words{"qat", floats, "--lr", "0.01", "--qat-epochs", "1", "--out", file("qat")} + data + lsq).code,
            0);
  EXPECT_EQ(bytes_of(file("qat/int8.safetensors")), bytes_of(file("grid/seed2/lsq-4/int8.safetensors")));
  ASSERT_EQ(mnv1_qat(Words{"ptq", floats, "--activation-quantize-type", "abs_max", "--out", file("ptq")} + data).code,
            0);
  EXPECT_EQ(bytes_of(file("ptq/int8.safetensors")), bytes_of(file("grid/seed2/ptq_abs_max-8/int8.safetensors")));
}

TEST_F(Compare, AKilledGridGoesOnWhereItStopped) {
  const auto words = [&](const char* name) {
    return Words{"mnv1_qat"} + small_grid(file(name)) + Words{"--limit-train",
                                                              "96",
                                                              "--batch-size",
                                                              "8",
                                                              "--checkpoint-every",
                                                              "3",
                                                              "--methods",
                                                              "lsq,ptq_min_max",
                                                              "--bits",
                                                              "3,8",
                                                              "--seeds",
                                                              "2",
                                                              "--quiet"};
  };
  ASSERT_EQ(run_program(words("undisturbed")).code, 0);
  std::mt19937 random(7);
  std::uniform_real_distribution<double> moment(0.1, 0.6);
  int kills = 0;
  while (true) {
    Program program(words("killed"));
    std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
    if (kills < 8 && program.is_running()) program.send(SIGKILL), ++kills;
    const Ended ended = program.wait();
    if (ended.code == 0) break;
    ASSERT_EQ(ended.signal, SIGKILL) << ended.err;
  }
  EXPECT_GE(kills, 2);
  for (const char* made : {"rows.jsonl", "compare.csv", "compare.md", "compare.svg"})
    EXPECT_EQ(bytes_of(file("killed/") + made), bytes_of(file("undisturbed/") + made)) << made;
  EXPECT_FALSE(fs::exists(file("killed/seed1/lsq-3"))) << "nothing is kept unasked";
}

TEST_F(Compare, RowsStayWhenAGridGrows) {
  fs::copy(file("grid"), file("grown"), fs::copy_options::recursive);
  const std::string before = bytes_of(file("grown/rows.jsonl"));
  write_bytes(file("grown/rows.jsonl"), before + "{\"method\": \"ste\", \"bits\": 2, \"se");  // as a kill may leave it
  const Ended ended = mnv1_qat(small_grid(file("grown")) +
                               Words{"--methods", "ste,ptq_abs_max", "--bits", "8,2", "--seeds", "1", "--quiet"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(bytes_of(file("grown/rows.jsonl")).starts_with(before));
  EXPECT_EQ(rows_in(file("grown")).size(), 14u + 2);
  EXPECT_EQ(ended.out.find("lsq"), std::string::npos) << "only what was asked for is told";
}

TEST_F(Compare, KeptModelsStay) {
  fs::copy(file("grid"), file("kept"), fs::copy_options::recursive);
  const Words more = small_grid(file("kept")) + Words{"--methods", "ste,ptq_abs_max", "--seeds", "1", "--quiet"};
  ASSERT_EQ(mnv1_qat(more + Words{"--bits", "8,2"}).code, 0);
  EXPECT_TRUE(fs::exists(file("kept/seed1/ste-8/int8.safetensors")));
  EXPECT_TRUE(fs::exists(file("kept/seed1/lsq-4/int8.safetensors")));
  EXPECT_FALSE(fs::exists(file("kept/seed1/ste-2")));
  const Ended late = mnv1_qat(more + Words{"--bits", "8,2", "--keep-models"});
  ASSERT_EQ(late.code, 0) << late.err;
  EXPECT_NE(late.out.find("2 nets were made and scored by a call without --keep-models"), std::string::npos)
      << late.out;
}

TEST_F(Compare, TakesWeightsThatAreThere) {
  const std::string floats = file("grid/seed1/fp32.safetensors"), out = file("given");
  const Words words = small_grid(out) + Words{"--methods", "ptq_abs_max", "--bits", "8", "--seeds", "2", "--quiet"};
  const Ended ended = mnv1_qat(words + Words{floats});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rows = rows_in(out);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["top1"], rows_in(file("grid"))[0]["top1"]);
  EXPECT_EQ(rows[0]["top1"], rows[2]["top1"]) << "one file for both seeds";
  const std::string other = file("grid/seed2/fp32.safetensors");
  expect_refused(mnv1_qat(words + Words{floats, other}), 1, {"row of fp32, 32 bits, seed 2", "fp32 was \"crc32c "});
  // Seed 2's net is the file, whatever place in the list it has; and seeds may be added.
  EXPECT_EQ(mnv1_qat(words + Words{"--seed", "2", floats, other}).code, 0);
  EXPECT_EQ(rows_in(out).size(), 6u);
  expect_refused(mnv1_qat(words + Words{"--seed", "2", other, floats}), 1, {"row of fp32, 32 bits, seed 2"});
  expect_refused(mnv1_qat(words + Words{floats, floats, floats}), 2, {"one for each of the 2; it has 3"});
  expect_refused(mnv1_qat(small_grid(file("x")) + Words{file("grid/seed1/ste-8/qat.safetensors")}), 1,
                 {"is quantized already", "HINT"});
  expect_refused(mnv1_qat(small_grid(file("x")) + Words{file("missing.safetensors")}), 1, {"missing.safetensors"});
}

TEST_F(Compare, WhatCannotBeIsToldInALine) {
  const auto refused = [&](const Words& more, int code, const Words& parts) {
    expect_refused(mnv1_qat(small_grid(file("grid")) + more), code, parts);
  };
  refused({"--methods", "ste,lsg"}, 2, {"method 'lsg' is unknown", "HINT did you mean 'lsq'?"});
  refused({"--methods", "ste,lsq,ste"}, 2, {"method 'ste' is given twice"});
  refused({"--bits", "8,9"}, 2, {"--bits", "2 to 8", "'9'"});
  refused({"--bits", "1"}, 2, {"--bits", "2 to 8"});
  refused({"--bits", "4,8,4"}, 2, {"--bits has 4 twice"});
  refused({"--weight-bits", "4"}, 2, {"from --bits"});
  refused({"--scheme", "tensorrt", "--methods", "min_max"}, 1, {"scheme tensorrt", "(method min_max)"});
  refused({"--lr", "0.5"}, 1, {"holds another grid", "lr was 0.02, is 0.5", "HINT"});
  refused({"--methods", "lsq", "--bits", "8", "--seeds", "1", "--moving-rate", "0.5"}, 1,
          {"row of lsq, 8 bits, seed 1", "moving_rate was 0.9, is 0.5"});
  EXPECT_EQ(rows_in(file("grid")).size(), 14u);

  write_bytes(file("a_file"), "x");
  expect_refused(mnv1_qat(small_grid(file("a_file"))), 1, {"cannot make the folder", "a_file"});
  fs::create_directory(file("rows_alone"));
  write_bytes(file("rows_alone/rows.jsonl"), "{}\n");
  expect_refused(mnv1_qat(small_grid(file("rows_alone"))), 1, {"no grid.json"});
  write_bytes(file("rows_alone/grid.json"), "[[[");
  expect_refused(mnv1_qat(small_grid(file("rows_alone"))), 1, {"grid.json' is not what compare has written"});
  refused({"--adaround", "3", "--methods", "ste"}, 1, {"adaround_steps 3", "(method ste)"});
  expect_refused(mnv1_qat(small_grid("/proc")), 1, {"/proc"});  // where nobody makes files
  refused({"--weight-quantize-type", "abs_max"}, 2, {"quantizers", "from --methods"});
  refused({"--activation-preprocess-type", "PACT"}, 2, {"quantizers", "from --methods"});
}

TEST_F(Compare, AFullDiskKeepsTheRows) {
  const SmallDisk disk(file("disk"));
  if (!disk.is_there()) GTEST_SKIP() << "no tmpfs can be mounted here (that takes root)";
  const Words words = small_grid(file("disk/grid")) + kGrid + Words{"--quiet"};
  expect_refused(mnv1_qat(words), 1, {"No space left", "HINT the disk is full"});
  disk.grow();
  const Ended resumed = mnv1_qat(words);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  std::vector<Json> kept = rows_in(file("grid"));
  for (Json& row : kept) row.erase("kept");
  EXPECT_EQ(rows_in(file("disk/grid")), kept);
}

TEST_F(Compare, ATrainingThatDivergesFailsAlone) {
  const Ended ended =
      mnv1_qat(small_grid(file("diverged")) + Words{"--methods", "ste,ptq_abs_max", "--bits", "8", "--seeds", "1",
                                                    "--qat-lr", "1e30", "--qat-epochs", "3", "--quiet"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("ste (1 of 1 failed)"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("ste, 8 bits, seed 1 failed: ["), std::string::npos) << ended.out;
  const auto rows = rows_in(file("diverged"));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_TRUE(rows[1].contains("error"));
  EXPECT_TRUE(rows[2].contains("top1"));
}

TEST_F(Compare, AFloatNetThatDivergesFailsItsSeedAlone) {
  const Words words = small_grid(file("floats")) + Words{"--methods", "ste",  "--bits",   "8", "--seeds", "2",
                                                         "--lr",      "1e30", "--epochs", "3", "--quiet"};
  for (const char* call : {"first", "again"}) {
    const Ended ended = mnv1_qat(words);
    ASSERT_EQ(ended.code, 0) << call << ended.err;
    EXPECT_NE(ended.out.find("fp32 (2 of 2 failed)"), std::string::npos) << ended.out;
    EXPECT_NE(ended.out.find("fp32, 32 bits, seed 2 failed: ["), std::string::npos) << ended.out;
    EXPECT_EQ(rows_in(file("floats")).size(), 2u) << "and nothing is tried again";
  }
}

TEST_F(Compare, EveryMethodMakesAModelThatTheEngineRuns) {
  const Ended ended =
      mnv1_qat(small_grid(file("all")) + Words{"--methods", "all", "--bits", "4", "--seeds", "1", "--first-last-bits",
                                               "8", "--calibrate", "32", "--quiet"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rows = rows_in(file("all"));
  ASSERT_EQ(rows.size(), 1 + app::methods().size());
  for (const Json& row : rows) {
    ASSERT_TRUE(row.contains("top1")) << row;
    EXPECT_NEAR(row["top1"].get<double>(), row["fake_quant_top1"].get<double>(), 1.5 / 40) << row["method"];
  }
}

TEST_F(Compare, RunsOnADevice) {
  if (!gpu::can_emulate()) GTEST_SKIP() << "this build has no emulated device";
  const Words words = small_grid(file("there")) +
                      Words{"--methods",    "ste", "--bits",       "4", "--seeds", "1", "--limit-train", "4",
                            "--batch-size", "4",   "--limit-test", "4", "--quiet"};
  const Ended ended = mnv1_qat(words + Words{"--device", "cuda"}, {{"OCTET_GPU", "emulated"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(rows_in(file("there")).size(), 2u);
  expect_refused(mnv1_qat(words), 1, {"device was \"cuda\", is nothing"});
}

TEST(Methods, EachHasANameAndCanBeConfiguredAtAllBits) {
  std::set<std::string> names;
  for (const app::Method& method : app::methods()) {
    EXPECT_TRUE(names.insert(method.name).second) << method.name;
    EXPECT_NE(std::string(method.line), "") << method.name;
    for (int bits = 2; bits <= 8; ++bits) {
      app::Options options;
      options.quant.weight_bits = options.quant.activation_bits = bits;
      method.set(options);
      EXPECT_NO_THROW(options.quant.check()) << method.name;
      EXPECT_EQ(options.quant.weight_bits, bits) << method.name;
      if (!method.trains) {
        EXPECT_NO_THROW(quant::require_calibratable(options.quant)) << method.name;
      }
    }
  }
  EXPECT_EQ(app::find_methods({"all"}).size(), names.size());
  const Ended listed = mnv1_qat({"compare", "--list", "--json"});
  EXPECT_EQ(Json::parse(listed.out).size(), names.size());
}

TEST(OverSeeds, MeanAndSampleDeviation) {
  const app::OverSeeds three = app::over_seeds({1, 2, 6});
  EXPECT_DOUBLE_EQ(three.mean, 3);
  EXPECT_DOUBLE_EQ(three.spread, std::sqrt((4 + 1 + 9) / 2.0));
  EXPECT_EQ(app::over_seeds({5}).spread, 0);
  EXPECT_EQ(app::over_seeds({}).mean, 0);
}

/// Rows of two seeds: fp32 at 90 and 91 %, ste three and five points below, lsq of the first seed alone, pact failed
/// once.
app::GridRows some_rows(const TempFolder& folder) {
  const auto line = [](const char* method, int bits, int seed, double top1) {
    return Json{{"method", method},
                {"bits", bits},
                {"seed", seed},
                {"top1", top1},
                {"top5", 1},
                {"loss", 0.5},
                {"fake_quant_top1", top1},
                {"pictures", 100},
                {"packed_bytes", 1000 * bits},
                {"file_bytes", 9000},
                {"made_by", Json::object()}}
               .dump() +
           "\n";
  };
  const std::string failed = R"({"method":"pact","bits":4,"seed":2,"error":"[fit] it, \"failed\"","made_by":{}})";
  write_bytes(folder / "rows.jsonl", line("fp32", 32, 1, 0.9) + line("fp32", 32, 2, 0.91) + line("ste", 4, 1, 0.87) +
                                         line("ste", 4, 2, 0.86) + line("lsq", 4, 1, 0.895) + line("pact", 4, 1, 0.7) +
                                         failed + "\n" + line("ste", 4, 3, 0.1));
  return app::GridRows(folder / "rows.jsonl");
}

TEST(GridResults, AreOverTheSeedsThatThereAre) {
  const TempFolder folder;
  const app::Grid grid{{"ste", "lsq", "pact", "never_run"}, {4}, {1, 2}, "cifar10", 100};
  const auto results = app::results_of(grid, some_rows(folder));
  ASSERT_EQ(results.size(), 4u) << "what has no rows is left out";
  EXPECT_NEAR(results[0].top1.mean, 0.905, 1e-12);
  EXPECT_NEAR(results[1].difference.mean, -0.04, 1e-12);
  EXPECT_NEAR(results[1].difference.spread, 0.02 / std::sqrt(2.0), 1e-12);
  EXPECT_EQ(results[2].seeds, 1u);
  EXPECT_NEAR(results[2].difference.mean, -0.005, 1e-12) << "against its own seed, not against the mean";
  EXPECT_EQ(results[3].seeds, 1u);
  EXPECT_EQ(results[3].failed.size(), 1u);
  EXPECT_EQ(app::failures_of(results), "\npact, 4 bits, seed 2 failed: [fit] it, \"failed\"\n");
  const std::string table = app::table_of(grid, results), csv = app::csv_of(results);
  EXPECT_NE(table.find("| 86.50 ± 0.71 | -4.00 ± 1.41 |"), std::string::npos) << table;
  EXPECT_NE(table.find("pact (1 of 2 failed)"), std::string::npos) << table;
  EXPECT_NE(csv.find("\nlsq,4,1,0,0.895,0,"), std::string::npos) << csv;
  EXPECT_EQ(app::json_of(grid, results)["results"][3]["failed"], 1);
}

TEST(GridResults, OfNoSeedAreEmptyNotZero) {
  const TempFolder folder;
  const app::Grid grid{{"pact"}, {4}, {2}, "cifar10", 100};
  const auto results = app::results_of(grid, some_rows(folder));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_NE(app::csv_of(results).find("\npact,4,0,1,,,,,,,,,\n"), std::string::npos) << app::csv_of(results);
  const auto j = app::json_of(grid, results)["results"][1];
  EXPECT_TRUE(j["top1"].is_null() && j["difference"].is_null() && j["file_bytes"].is_null());
  EXPECT_EQ(j["failures"][0]["seed"], 2);
}

TEST(GridResults, AreDrawnWithTheirSpread) {
  const TempFolder folder;
  app::Grid grid{{"ste", "lsq", "pact"}, {4}, {1, 2}, "cifar10", 100};
  const auto results = app::results_of(grid, some_rows(folder));
  const std::string drawing = app::drawing_of(grid, results).file_text();
  const auto count = [&](const std::string& part) {
    int found = 0;
    for (std::size_t at = drawing.find(part); at != std::string::npos; at = drawing.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("<circle"), 3 + 2) << "pact is too far below fp32 for the second drawing";
  EXPECT_EQ(count("stroke-width=\"1.2\""), 2 * 3) << "a bar with two ends for ste in each";
  EXPECT_EQ(count("stroke-dasharray"), 0);
  grid.methods = {"a", "b", "c", "d", "e", "f", "g", "h", "ste"};
  EXPECT_NE(app::drawing_of(grid, results).file_text().find("stroke-dasharray"), std::string::npos) << "the ninth line";
}

TEST(GridRows, ALastLineThatLacksItsNewlineIsWhole) {
  const TempFolder folder;
  const std::string path = folder / "rows.jsonl",
                    row = R"({"method":"ste","bits":4,"seed":1,"error":"x","made_by":{}})";
  write_bytes(path, row);  // as some editors save
  app::GridRows rows(path);
  EXPECT_NE(rows.find("ste", 4, 1), nullptr);
  rows.add({.method = "ste", .bits = 2, .seed = 1, .tag = "{}", .error = "y"});
  EXPECT_EQ(app::GridRows(path).size(), 2u);
  write_bytes(path, row + "\n" + row.substr(0, 20));
  EXPECT_EQ(app::GridRows(path).size(), 1u);
  EXPECT_EQ(bytes_of(path), row + "\n");
}

TEST(GridRows, PassOverWhatIsNone) {
  const TempFolder folder;
  const std::string good =
      R"({"method":"ste","bits":4,"seed":1,"top1":0.5,"top5":1,"loss":2.5,"fake_quant_top1":0.5,"pictures":40,"packed_bytes":7,"file_bytes":9,"made_by":{"quant":{"weight_bits":4}}})";
  std::string text;
  for (const char* bad : {"", "[]", "nonsense", "{}", R"({"method":"lsq"})",
                          R"({"method":"lsq","bits":-1,"seed":1,"error":"x","made_by":{}})",
                          R"({"method":"lsq","bits":1e300,"seed":1,"error":"x","made_by":{}})",
                          R"({"method":"lsq","bits":4,"seed":1,"top1":"0.5","made_by":{}})",
                          R"({"method":"lsq","bits":4,"seed":1,"error":"x","made_by":[]})"})
    text += std::string(bad) + "\n";
  write_bytes(
      folder / "rows.jsonl",
      text + good + "\n" + R"({"method":"pact","bits":4,"seed":1,"error":"x","made_by":{}})" + "\n{\"method\":");
  app::GridRows rows(folder / "rows.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.find("lsq", 4, 1), nullptr);
  EXPECT_EQ(rows.find("pact", 4, 1)->error, "x");
  const std::string all_keys = R"({"quant":{"weight_bits":4,"moving_rate":0.9}})";
  EXPECT_EQ(rows.find("ste", 4, 1, all_keys)->top1, 0.5) << "a key that the row has not counts as its default";
  EXPECT_ERROR(rows.find("ste", 4, 1, R"({"quant":{"weight_bits":4,"moving_rate":0.5}})"),
               "quant/moving_rate was 0.9, is 0.5");
  EXPECT_EQ(rows.find("ste", 4, 2, all_keys), nullptr);
}

}  // namespace
