// Spans: how they nest and add up, what the trace holds, and that nothing is recorded while it is off.
#include "core/profile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/autograd.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/profile_data.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet {
namespace {

using profile::Kind;
using profile::Span;
using profile::Total;

/// Busy for so long.
void work(double milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  while (std::chrono::steady_clock::now() < end) {
  }
}

std::vector<Total> named(const std::string& name) {
  std::vector<Total> found;
  for (const Total& total : profile::totals())
    if (total.name == name) found.push_back(total);
  return found;
}

struct Profile : ::testing::Test {
  void SetUp() override { profile::start(); }
  void TearDown() override { profile::stop(); }
};

TEST_F(Profile, off_nothing_is_recorded_and_details_are_not_asked_for) {
  profile::stop();
  profile::start();
  profile::stop();
  bool asked = false;
  {
    const profile::Stage stage("stage");
    const Span step(Kind::step, "step");
    const Span span(Kind::kernel, "kernel", [&] { return asked = true, std::string("detail"); });
    const ScopeGuard scope(&asked);
    parallel_for(8, [](std::int64_t) { work(0.1); });
  }
  EXPECT_FALSE(asked);
  EXPECT_TRUE(profile::totals().empty());
  EXPECT_EQ(profile::dropped_spans(), 0u);
  profile::for_each_span([](const profile::SpanView&) { ADD_FAILURE(); });
}

TEST_F(Profile, off_a_span_costs_next_to_nothing) {
  profile::stop();
  constexpr int kSpans = 1'000'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kSpans; ++i) const Span span(Kind::kernel, "kernel", [] { return std::string("detail"); });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds / kSpans, 50e-9);  // a nanosecond; sanitizers and a busy machine need more
}

TEST_F(Profile, own_times_are_without_what_is_inside) {
  {
    const Span step(Kind::step, "step");
    work(2);
    const Span phase(Kind::phase, "forward");
    work(3);
    {
      const Span op(Kind::op, "op");
      work(4);
      const Span kernel(Kind::kernel, "kernel", [] { return std::string("avx2 problem"); });
      work(5);
    }
  }
  const Total step = named("step").at(0), phase = named("forward").at(0), op = named("op").at(0),
              kernel = named("kernel").at(0);
  EXPECT_GE(step.seconds, 14e-3);
  EXPECT_NEAR(step.own_seconds, step.seconds - phase.seconds, 1e-9);
  EXPECT_NEAR(phase.own_seconds, phase.seconds - op.seconds, 1e-9);
  EXPECT_EQ(op.own_seconds, op.seconds);  // a layer's time is that of its kernels too
  EXPECT_GE(op.seconds, 9e-3);
  EXPECT_LT(kernel.seconds, op.seconds);
  EXPECT_EQ(kernel.detail, "avx2 problem");
  EXPECT_EQ(kernel.step + "/" + kernel.phase, "step/forward");
  EXPECT_EQ(step.calls, 1u);
}

TEST_F(Profile, modules_are_told_by_the_names_they_were_given) {
  const int conv = 0, unnamed = 0;
  profile::name_scope(&conv, "blocks.0.conv", "Conv2d");
  const auto layer = [&](const void* module) {
    const ScopeGuard scope(module);
    const Span kernel(Kind::kernel, "kernel");
  };
  {
    const Span phase(Kind::phase, "forward");
    layer(&conv);
    layer(&conv);
    layer(&unnamed);
  }
  const auto kernels = named("kernel");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].path + kernels[1].path, "blocks.0.conv");
  ASSERT_EQ(named("blocks.0.conv").size(), 1u);
  EXPECT_EQ(named("blocks.0.conv")[0].calls, 2u);
  EXPECT_EQ(named("blocks.0.conv")[0].path_kind, "Conv2d");
}

TEST_F(Profile, backward_knows_the_modules_of_its_nodes) {
  const int layer = 0;
  profile::name_scope(&layer, "layer", "Test");
  const Variable x(Tensor::full({3}, 1), true);
  Variable y;
  {
    const ScopeGuard scope(&layer);
    y = record("double", {}, {x}, Tensor::full({3}, 2),
               [](const Tensor& d, const std::vector<bool>&) { return std::vector<Tensor>{d}; });
  }
  y.backward(Tensor::full({3}, 1));
  ASSERT_EQ(named("double").size(), 1u);
  EXPECT_EQ(named("double")[0].path, "layer");
}

TEST_F(Profile, stages_have_budgets_and_sums_have_none) {
  profile::start(10);
  for (const char* name : {"first", "second"}) {
    const profile::Stage stage(name);
    for (int i = 0; i < 25; ++i) {
      const Span step(Kind::step, "step");
      const Span kernel(Kind::kernel, "kernel");
    }
  }
  std::map<std::string, int> kept;
  profile::for_each_span([&](const profile::SpanView& span) { ++kept[std::string(span.name)]; });
  EXPECT_EQ(kept["step"], 50);
  EXPECT_EQ(kept["kernel"], 20);
  EXPECT_EQ(profile::dropped_spans(), 30u);
  const auto kernels = named("kernel");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].stage + kernels[1].stage, "firstsecond");
  EXPECT_EQ(kernels[0].calls, 25u);
}

TEST_F(Profile, the_trace_is_json_whose_spans_nest) {
  const test::TempFolder folder;
  std::thread([] {
    profile::name_thread("loader \"1\"\n");
    const Span span(Kind::phase, "make batch");
  }).join();
  for (int i = 0; i < 3; ++i) {
    const Span step(Kind::step, "step");
    for (const char* name : {"a", "b"}) {
      const Span phase(Kind::phase, name);
      work(0.05);
      const Span kernel(Kind::kernel, "kernel", [] { return std::string("back\\slash \"quoted\"\t"); });
    }
  }
  profile::write_trace(folder / "trace.json");
  const auto trace = nlohmann::json::parse(read_file(folder / "trace.json"));
  struct Interval {
    double begin, end;
  };
  std::map<int, std::vector<Interval>> lines;
  std::map<std::string, int> names;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "M") {
      ++names[event.at("args").at("name")];
      continue;
    }
    ASSERT_EQ(event.at("ph"), "X");
    const double begin = event.at("ts"), duration = event.at("dur");
    EXPECT_GE(begin, 0);
    lines[event.at("tid")].push_back({begin, begin + duration});
    if (event.at("name") == "kernel") {
      EXPECT_EQ(event.at("args").at("detail"), "back\\slash \"quoted\"\t");
    }
  }
  EXPECT_EQ(names["loader \"1\"\n"], 1);
  EXPECT_EQ(names["octet"], 1);
  std::size_t count = 0;
  for (const auto& [thread, spans] : lines)
    for (const Interval& a : spans) {
      ++count;
      for (const Interval& b : spans) {
        const bool apart = a.end <= b.begin || b.end <= a.begin;
        const bool inside = (a.begin >= b.begin && a.end <= b.end) || (b.begin >= a.begin && b.end <= a.end);
        EXPECT_TRUE(apart || inside);
      }
    }
  EXPECT_EQ(count, 1u + 3 * 5);
}

TEST_F(Profile, a_trace_that_cannot_be_written_is_one_error) {
  const test::TempFolder folder;
  EXPECT_ERROR(profile::write_trace(folder / "none/trace.json"), "trace.json");
  EXPECT_ERROR(profile::write_trace(folder.path().string()), "folder");
}

TEST_F(Profile, threads_of_one_name_share_a_line) {
  for (int i = 0; i < 3; ++i)
    std::thread([] {
      profile::name_thread("worker that comes and goes");
      const Span span(Kind::phase, "work");
    }).join();
  int lines = 0;
  for (const std::string& name : profile::thread_names()) lines += name == "worker that comes and goes";
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(named("work").at(0).calls, 3u);
}

TEST_F(Profile, spans_from_before_a_new_start_are_forgotten) {
  {
    const Span old(Kind::phase, "old");
    profile::start();
    const Span young(Kind::phase, "young");
  }
  EXPECT_TRUE(named("old").empty());
  EXPECT_EQ(named("young").size(), 1u);
}

TEST_F(Profile, readers_and_threads_may_meet) {
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) profile::totals();
  });
  for (int i = 0; i < 300; ++i) {
    const Span phase(Kind::phase, "phase");
    parallel_for(8, [](std::int64_t) { const Span span(Kind::kernel, "kernel"); });
  }
  stop = true;
  reader.join();
  std::uint64_t calls = 0;
  for (const Total& total : named("kernel")) calls += total.calls;
  EXPECT_EQ(calls, 2400u);
}

}  // namespace
}  // namespace octet
