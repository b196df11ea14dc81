#include "core/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/expect_error.h"

namespace octet {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(default_); }
  const int default_ = num_threads();
};

TEST_P(Parallel, runs_every_task_exactly_once) {
  EXPECT_EQ(num_threads(), GetParam());
  for (std::int64_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
    parallel_for(tasks, [&](std::int64_t i) { runs[static_cast<std::size_t>(i)].fetch_add(1); });
    for (const auto& count : runs) ASSERT_EQ(count.load(), 1);
  }
  parallel_for(-5, [](std::int64_t) { FAIL(); });
}

TEST_P(Parallel, results_are_visible_afterwards) {
  std::vector<std::int64_t> values(4096);  // plain memory: the pool must order the writes before its return
  for (int round = 0; round < 300; ++round) {
    parallel_for(64, [&](std::int64_t chunk) {
      for (std::int64_t i = chunk * 64; i < chunk * 64 + 64; ++i) values[static_cast<std::size_t>(i)] += i + round;
    });
  }
  for (std::int64_t i = 0; i < 4096; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], 300 * i + 299 * 300 / 2);
}

TEST_P(Parallel, an_exception_reaches_the_caller_and_the_pool_goes_on) {
  for (int round = 0; round < 50; ++round) {
    try {
      parallel_for(100, [](std::int64_t i) {
        if (i % 10 == 3) throw std::runtime_error("task");
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "task");
    }
    std::atomic<int> sum{0};
    parallel_for(100, [&](std::int64_t) { sum.fetch_add(1); });
    ASSERT_EQ(sum.load(), 100);
  }
}

TEST_P(Parallel, nested_calls_run_in_line) {
  std::atomic<int> sum{0};
  parallel_for(8, [&](std::int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    parallel_for(16, [&](std::int64_t) {
      EXPECT_TRUE(GetParam() == 1 || std::this_thread::get_id() == outer);
      sum.fetch_add(1);
    });
  });
  EXPECT_EQ(sum.load(), 128);
}

TEST_P(Parallel, an_exception_of_a_nested_call_comes_through) {
  EXPECT_THROW(parallel_for(4, [](std::int64_t) { parallel_for(4, [](std::int64_t) { throw 5; }); }), int);
}

TEST_P(Parallel, several_callers_at_once) {
  std::vector<std::thread> callers;
  std::atomic<std::int64_t> sum{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) parallel_for(20, [&](std::int64_t i) { sum.fetch_add(i); });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 4 * 100 * 190);
}

TEST_P(Parallel, workers_wake_after_a_pause) {
  std::atomic<int> sum{0};
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    parallel_for(50, [&](std::int64_t) { sum.fetch_add(1); });
  }
  EXPECT_EQ(sum.load(), 250);
}

INSTANTIATE_TEST_SUITE_P(threads, Parallel, testing::Values(1, 2, 3, 7));

TEST(ParallelPool, more_than_one_thread_takes_part) {
  const int before = num_threads();
  set_num_threads(3);
  std::atomic<int> waiting{0};
  // Two tasks that wait for each other can only end when two threads run them.
  parallel_for(2, [&](std::int64_t) {
    waiting.fetch_add(1);
    while (waiting.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(waiting.load(), 2);
  set_num_threads(before);
}

TEST(ParallelPool, the_caller_waits_for_the_last_worker) {
  const int before = num_threads();
  set_num_threads(2);
  const std::thread::id caller = std::this_thread::get_id();
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> started{0};
    bool worker_finished = false;  // no atomic: the return of parallel_for has to order it
    parallel_for(2, [&](std::int64_t) {
      started.fetch_add(1);
      while (started.load() < 2) std::this_thread::yield();
      if (std::this_thread::get_id() == caller) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      worker_finished = true;
    });
    ASSERT_TRUE(worker_finished);
  }
  set_num_threads(before);
}

TEST(ParallelPool, refuses_impossible_numbers) {
  EXPECT_ERROR(set_num_threads(0), "0 threads");
  EXPECT_ERROR(set_num_threads(-3), "-3 threads");
  EXPECT_ERROR(set_num_threads(257), "257 threads");
  EXPECT_GE(num_threads(), 1);
}

TEST(ParallelPool, cannot_be_resized_from_inside) {
  const int before = num_threads();
  set_num_threads(2);
  EXPECT_ERROR(parallel_for(4, [](std::int64_t) { set_num_threads(1); }), "inside a parallel task");
  set_num_threads(before);
}

TEST(ParallelPool, stops_while_a_worker_comes_late) {
  // A job this short is over before the worker is there; it must still see that the pool stops.
  const int before = num_threads();
  for (int i = 0; i < 3000; ++i) {
    set_num_threads(2 + i % 2);
    parallel_for(4, [](std::int64_t) {});
  }
  set_num_threads(before);
}

TEST(ParallelPool, a_forked_child_works_alone) {
  const int before = num_threads();
  set_num_threads(3);
  // The pool is busy at the moment of the fork: in the child its lock is held by a thread that does not exist there.
  std::atomic<bool> running{false}, release{false};
  std::thread other([&] {
    parallel_for(2, [&](std::int64_t) {
      running.store(true);
      while (!release.load()) std::this_thread::yield();
    });
  });
  while (!running.load()) std::this_thread::yield();
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    set_num_threads(2);  // changes nothing, and waits for nobody
    int sum = 0;
    parallel_for(100, [&](std::int64_t) { ++sum; });
    std::exit(sum == 100 ? 0 : 1);
  }
  release.store(true);
  other.join();
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  set_num_threads(before);
}

}  // namespace
}  // namespace octet
