// octet_bench's own promises, on a room made up for them: a wrong row is reported and not timed, a vendor's rounding is
// accepted, the mark shows what selection runs, nothing of an inventory is left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "benchmarks/measure.h"
#include "benchmarks/shapes.h"
#include "core/error.h"
#include "nn/graph.h"
#include "nn/models.h"

namespace octet::bench {
namespace {

struct DotProblem {
  std::int64_t count;
  std::string str() const { return "count " + std::to_string(count); }
};
struct DotPointers {
  const float *a, *b;
  float* dst;
};
using DotRow = kernels::Row<DotProblem, DotPointers>;

int runs_of_wrong_row = 0;
const char* accept(const DotProblem&) { return nullptr; }
const char* refuse(const DotProblem&) { return "never"; }
float dot(const DotProblem& p, const DotPointers& io) {
  float sum = 0;
  for (std::int64_t i = 0; i < p.count; ++i) sum = std::fma(io.a[i], io.b[i], sum);
  return sum;
}
void exact(const DotProblem& p, const DotPointers& io, const kernels::Context&) { *io.dst = dot(p, io); }
void one_bit_off(const DotProblem& p, const DotPointers& io, const kernels::Context&) {
  ++runs_of_wrong_row;
  *io.dst = std::nextafter(dot(p, io), 1e9f);
}
void far_off(const DotProblem& p, const DotPointers& io, const kernels::Context&) { *io.dst = dot(p, io) + 1; }
void not_a_number(const DotProblem&, const DotPointers& io, const kernels::Context&) { *io.dst = NAN; }

DotRow row(const char* impl, void (*run)(const DotProblem&, const DotPointers&, const kernels::Context&),
           const char* (*why_not)(const DotProblem&) = accept) {
  return {"dot", "f32", "cpu", impl, why_not, run};
}

Task<DotProblem, DotPointers> task(const char* pass = "dot") {
  return {"dots", "dot/100", pass, "f32", {100}, {200, 800}, 100, [](Operands& operands) {
            const float* a = operands.input(100);
            const float* b = operands.input(100);
            return DotPointers{a, b, static_cast<float*>(operands.output(1))};
          }};
}

/// Keeps what a report would print.
class Kept : public Report {
 public:
  void begin(const Facts&, const Peaks&) override {}
  void group(const std::vector<Result>& group) override {
    for (const Result& result : group) results.push_back(result);
  }
  std::vector<Result> results;
};

const Peaks kPeaks{100, 400, 10, "", ""};

struct Measured {
  std::vector<Result> results;
  Outcome outcome;
};
Measured measured(Suite& suite) {
  std::vector<Entry*> entries;
  for (Entry& entry : suite.entries())
    if (entry.refusal.empty()) entries.push_back(&entry);
  Kept kept;
  const Outcome outcome = measure(entries, suite.settings(), kPeaks, kept);
  return {kept.results, outcome};
}

Suite quick_suite() {
  Settings settings;
  settings.quick = true;
  return Suite(settings);
}

TEST(Bench, ChecksBeforeItTimes) {
  const std::vector<DotRow> rows{row("onednn", one_bit_off), row("openblas", far_off), row("reference", exact)};
  Suite suite = quick_suite();
  suite.add(std::span<const DotRow>(rows), task());
  const Measured run = measured(suite);
  ASSERT_EQ(run.results.size(), 3u);
  EXPECT_EQ(run.results[0].error, "") << "a vendor's rounding";
  EXPECT_THAT(run.results[1].error, testing::HasSubstr("beyond the bound"));
  EXPECT_EQ(run.results[1].seconds, 0);
  EXPECT_GT(run.results[2].seconds, 0);
  EXPECT_EQ(run.outcome.measured, 2u);
  EXPECT_EQ(run.outcome.failed, 1u);
}

TEST(Bench, OwnRowsMustGiveTheBits) {
  // A name that needs no instructions, so that the test runs anywhere.
  const std::vector<DotRow> rows{row("own", one_bit_off), row("reference", exact)};
  Suite suite = quick_suite();
  suite.add(std::span<const DotRow>(rows), task());
  runs_of_wrong_row = 0;
  const Measured run = measured(suite);
  EXPECT_THAT(run.results.at(0).error, testing::HasSubstr("differs from the reference"));
  EXPECT_EQ(runs_of_wrong_row, 1) << "the check alone ran it";
}

TEST(Bench, NaNIsNotNear) {
  const std::vector<DotRow> rows{row("onednn", not_a_number), row("reference", exact)};
  Suite suite = quick_suite();
  suite.add(std::span<const DotRow>(rows), task());
  EXPECT_NE(measured(suite).results.at(0).error, "");
}

TEST(Bench, MarksWhatSelectionRuns) {
  const std::vector<DotRow> rows{row("own", exact, refuse), row("onednn", exact), row("reference", exact)};
  Suite suite = quick_suite();
  suite.add(std::span<const DotRow>(rows), task());
  ASSERT_EQ(suite.entries().size(), 3u);
  EXPECT_EQ(suite.entries()[0].refusal, "never");
  EXPECT_FALSE(suite.entries()[1].chosen) << "vendor rows run only when forced";
  EXPECT_TRUE(suite.entries()[2].chosen);
  EXPECT_EQ(suite.entries()[2].name, "dots/dot/100/f32/reference");
}

TEST(Bench, NothingOfAnInventoryIsLeftOut) {
  const std::vector<DotRow> rows{row("reference", exact), {"other", "f32", "cpu", "reference", accept, exact}};
  const std::span<const DotRow> table(rows);
  Suite suite = quick_suite();
  suite.add(table, task());
  EXPECT_THROW(suite.require_all(table), Error);
  suite.add(table, task("other"));
  EXPECT_NO_THROW(suite.require_all(table));
}

TEST(Bench, EveryRoomHasTasksWithUniqueNames) {
  Suite suite = quick_suite();
  ASSERT_NO_THROW(add_all(suite));
  std::vector<std::string> names;
  for (const Entry& entry : suite.entries()) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Bench, TimesAreHeldAgainstTheRoofThatBinds) {
  // At 100 GFLOP/s and 10 GB/s the ridge is 10 operations a byte.
  EXPECT_EQ(bound_of({2000, 100, Unit::fma}, kPeaks), Bound::fma);
  EXPECT_DOUBLE_EQ(least_seconds({2000, 100, Unit::fma}, kPeaks), 2e-8);
  EXPECT_EQ(bound_of({500, 100, Unit::fma}, kPeaks), Bound::memory);
  EXPECT_DOUBLE_EQ(least_seconds({500, 100, Unit::fma}, kPeaks), 1e-8);
  EXPECT_EQ(bound_of({2000, 100, Unit::int8}, kPeaks), Bound::memory);
  EXPECT_EQ(bound_of({0, 100, Unit::fma}, kPeaks), Bound::memory);
}

TEST(Bench, ShapesAreTheNets) {
  double macs = 0;
  std::vector<std::string> names;
  for (const Layer& layer : network().layers) {
    const kernels::ConvGeometry& g = layer.geometry;
    macs += static_cast<double>(layer.times * g.out_pixels() * g.k * g.r * g.s * (layer.depthwise ? 1 : g.c));
    names.push_back(layer.name);
  }
  const auto net = nn::mobilenet_v1();
  EXPECT_EQ(macs, static_cast<double>(nn::count_macs(nn::trace(*net, Shape{1, 32, 32, 3}))));
  EXPECT_THAT(names, testing::ElementsAre("stem", "dw1", "pw1", "dw2", "pw2", "dw3", "pw3", "dw4", "pw4", "dw5", "pw5",
                                          "dw6", "pw6", "dw7-11", "pw7-11", "dw12", "pw12", "dw13", "pw13", "fc"));
}

}  // namespace
}  // namespace octet::bench
