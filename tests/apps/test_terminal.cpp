// What a run shows: a bar on a terminal, lines elsewhere, results alone with --quiet, JSON alone with --json.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Terminal, PlainLinesWhereThereIsNone) {
  const TempFolder folder;
  const Ended ended = mnv1_qat(Words{"pretrain"} + small_pretrain(folder / "r"));
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_FALSE(contains(ended.out, "\r") || contains(ended.out, "\033"));
  for (const char* part : {"synthetic", "215642 parameters", "pretrain epoch 1/2", "pretrain epoch 2/2", "pictures/s",
                           "loss", "top-1", "top-5"})
    EXPECT_TRUE(contains(ended.out, part)) << part << " in " << ended.out;
}

TEST(Terminal, BarWithRateAndTimeLeftFitsTheWidth) {
  for (const int columns : {200, 80, 30}) {
    const TempFolder folder;
    const Ended ended = mnv1_qat_on_terminal(
        Words{"pretrain"} + small_pretrain(folder / "r") + Words{"--limit-train", "1024", "--batch-size", "4"},
        columns);
    if (ended.code == kNoTerminal) GTEST_SKIP() << "no pseudo terminal can be had here (is /dev/pts mounted?)";
    ASSERT_EQ(ended.code, 0) << ended.out;
    std::istringstream text(ended.out.substr(ended.out.find("pretrain epoch")));
    int drawn = 0;
    for (std::string shown; std::getline(text, shown, '\r');) {
      if (!shown.starts_with("\033[K")) continue;
      ++drawn;
      shown = shown.substr(3, shown.find('\n') - 3);
      EXPECT_LT(shown.size(), static_cast<std::size_t>(columns)) << shown;
    }
    EXPECT_GE(drawn, 3);
    if (columns < 80) continue;
    for (const char* part : {"ETA ", "pictures/s", " in "}) EXPECT_TRUE(contains(ended.out, part)) << part;
    EXPECT_EQ(contains(ended.out, "[=") && contains(ended.out, "loss"), columns == 200) << ended.out;
  }
}

TEST(Terminal, QuietPrintsResultsOnly) {
  const TempFolder folder;
  const Ended run = mnv1_qat(Words{"run", "--quiet"} + small_run(folder / "r"));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with("\nResults on SYNTHETIC pictures, not CIFAR-10")) << run.out;
  EXPECT_FALSE(contains(run.out, "epoch"));
  const Ended pretrain = mnv1_qat(Words{"pretrain", "--quiet"} + small_pretrain(folder / "p"));
  EXPECT_EQ(std::count(pretrain.out.begin(), pretrain.out.end(), '\n'), 1) << pretrain.out;
  const Ended evaluate = mnv1_qat(Words{"evaluate", "--quiet", folder / "r/int8.safetensors"} + small_data());
  EXPECT_EQ(std::count(evaluate.out.begin(), evaluate.out.end(), '\n'), 1) << evaluate.out;
}

TEST(Terminal, JsonPrintsOneDocumentOnly) {
  const TempFolder folder;
  const Ended run = mnv1_qat(Words{"run", "--json"} + small_run(folder / "r"));
  EXPECT_EQ(Json::parse(run.out), Json::parse(bytes_of(folder / "r/summary.json"))) << run.err;
  const Ended pretrain = mnv1_qat(Words{"pretrain", "--json", "--quiet"} + small_pretrain(folder / "p"));
  EXPECT_TRUE(Json::parse(pretrain.out).contains("fp32_top1"));
  const Ended qat =
      mnv1_qat(Words{"qat", folder / "p/fp32.safetensors", "--json", "--out", folder / "q", "--limit-train", "64"} +
               small_data());
  EXPECT_TRUE(Json::parse(qat.out).contains("int8_top1")) << qat.err;
}

}  // namespace
