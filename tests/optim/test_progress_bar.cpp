// What the progress bar prints where stdout is no terminal.
#include <gtest/gtest.h>

#include <algorithm>

#include "optim/progress_bar.h"

namespace octet::test {
namespace {

using optim::BarStyle;
using optim::ProgressBar;

template <class Use>
std::string printed_by(const Use& use) {
  ::testing::internal::CaptureStdout();
  use();
  return ::testing::internal::GetCapturedStdout();
}

TEST(ProgressBar, LinesOnlyNowAndThenAndOneAtTheEnd) {
  for (const BarStyle style : {BarStyle::lines, BarStyle::automatic}) {  // a captured stdout is no terminal
    const std::string text = printed_by([&] {
      ProgressBar bar("epoch 1/5", 1000, "pictures", style);
      for (int i = 0; i < 1000; ++i) bar.update(i, "loss 1.0");
      bar.finish("loss 0.5");
      bar.finish("again");
      bar.update(3, "again");
    });
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_EQ(text.find_first_of("\r\033"), std::string::npos);
    EXPECT_EQ(text.substr(0, 16), "epoch 1/5 100 % ");
    EXPECT_NE(text.find(" pictures/s  loss 0.5  in 0:00\n"), std::string::npos) << text;
  }
}

TEST(ProgressBar, SilentAndUnfinishedPrintNothing) {
  EXPECT_EQ(printed_by([] {
              ProgressBar bar("x", 10, "steps", BarStyle::silent);
              bar.update(5, "");
              bar.finish("");
            }),
            "");
  EXPECT_EQ(printed_by([] { ProgressBar bar("x", 10, "steps", BarStyle::lines); }), "");
}

TEST(ProgressBar, OddTotals) {
  for (const std::int64_t total : {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1} << 62}) {
    const std::string text = printed_by([&] { ProgressBar("x", total, "steps", BarStyle::lines, 100).finish("done"); });
    EXPECT_NE(text.find("x 100 %"), std::string::npos) << text;
    EXPECT_EQ(text.find('-'), std::string::npos) << text;
  }
}

TEST(ProgressBar, ClockText) {
  EXPECT_EQ(optim::clock_text(0), "0:00");
  EXPECT_EQ(optim::clock_text(-3), "0:00");
  EXPECT_EQ(optim::clock_text(59.6), "1:00");
  EXPECT_EQ(optim::clock_text(125), "2:05");
  EXPECT_EQ(optim::clock_text(3599.4), "59:59");
  EXPECT_EQ(optim::clock_text(3723), "1:02:03");
}

}  // namespace
}  // namespace octet::test
