// A persistent pool. One job at a time: the caller publishes it, workers enter while it is open, the caller closes it
// when no task is left and waits for those inside to leave. Every thread has a range of tasks of its own and claims
// from it in order, then from the ranges of those that are behind. Neighbouring tasks mostly write neighbouring memory:
// claimed in turns by two cores, each core's prefetcher would take from the other lines that it is about to write.
#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/profile.h"

namespace octet {
namespace {

constexpr int kSpins = 2000;  // some tens of microseconds: the gap between two layers, not more

thread_local bool inside_task = false;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int default_threads() {
  if (const char* text = std::getenv("OCTET_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (*end != '\0' || n < 1 || n > kMostThreads) {
      fail("parallel", fmt::format("OCTET_THREADS={} is no number from 1 to {}", text, kMostThreads));
    }
    return static_cast<int>(n);
  }
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  const int n = CPU_COUNT(&allowed);
  return n < 1 ? 1 : (n > kMostThreads ? kMostThreads : n);
}

class Pool {
 public:
  Pool() : threads_(default_threads()) {}

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void resize(int threads) {
    std::lock_guard owner(owner_);
    stop();
    threads_.store(threads, std::memory_order_relaxed);
  }

  /// False when another thread of the program holds the pool: its caller then works alone.
  bool try_run(std::int64_t tasks, void (*body)(void*, std::int64_t), void* context) {
    std::unique_lock owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    start();
    body_ = body;
    context_ = context;
    error_ = nullptr;
    const auto count = static_cast<std::int64_t>(ranges_.size());
    for (std::int64_t i = 0; i < count; ++i) {
      ranges_[static_cast<std::size_t>(i)].next.store(i * tasks / count, std::memory_order_relaxed);
      ranges_[static_cast<std::size_t>(i)].end = (i + 1) * tasks / count;
    }
    publish();
    work(0);
    close();
    if (error_) {
      std::exception_ptr error = std::move(error_);
      error_ = nullptr;
      std::rethrow_exception(error);
    }
    return true;
  }

  /// At the end of the process; a task that calls exit() cannot wait for itself.
  void finish() {
    if (inside_task) return;
    std::lock_guard owner(owner_);
    stop();
  }

 private:
  // state_: the job's number in the upper half, whether it may be entered, and how many workers are inside.
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 31;
  static constexpr std::uint64_t kInside = kOpen - 1;
  static constexpr std::uint64_t kOneJob = std::uint64_t{1} << 32;
  static std::uint64_t job_of(std::uint64_t state) { return state >> 32; }

  /// Tasks of a thread: those from `next` are not claimed yet.
  struct alignas(64) Range {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };

  void start() {
    if (ranges_.size() != static_cast<std::size_t>(threads()))
      ranges_ = std::vector<Range>(static_cast<std::size_t>(threads()));
    if (!workers_.empty() || threads() == 1) return;
    stopping_ = false;
    const std::uint64_t seen = job_of(state_.load());
    try {
      for (int i = 1; i < threads(); ++i) workers_.emplace_back([this, seen, i] { worker(seen, i); });
    } catch (const std::system_error&) {
      // The system grants no more threads; fewer of them give the same bits.
    }
  }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    state_.fetch_add(kOneJob);
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
  }

  void publish() {
    state_.store((job_of(state_.load()) + 1) << 32 | kOpen);
    if (sleepers_.load() > 0) {
      std::lock_guard lock(mutex_);
      wake_.notify_all();
    }
  }

  void close() {
    std::uint64_t state = state_.fetch_and(~kOpen);
    for (int spin = 0; (state & kInside) != 0 && spin < kSpins; ++spin) {
      relax();
      state = state_.load();
    }
    if ((state & kInside) == 0) return;
    std::unique_lock lock(mutex_);
    caller_waits_.store(true);
    left_.wait(lock, [this] { return (state_.load() & kInside) == 0; });
    caller_waits_.store(false);
  }

  void work(std::size_t own) {
    inside_task = true;
    for (std::size_t i = 0; i < ranges_.size(); ++i) finish_range(ranges_[(own + i) % ranges_.size()]);
    inside_task = false;
  }

  void finish_range(Range& range) {
    while (range.next.load(std::memory_order_relaxed) < range.end) {
      const std::int64_t i = range.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= range.end) return;
      try {
        body_(context_, i);
      } catch (...) {
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        for (Range& any : ranges_) any.next.store(any.end, std::memory_order_relaxed);
      }
    }
  }

  void worker(std::uint64_t seen, int number) {
    profile::name_thread(fmt::format("pool {}", number));
    while (wait_for_job(seen)) {
      std::uint64_t state = state_.load();
      seen = job_of(state);
      while ((state & kOpen) != 0 && job_of(state) == seen) {
        if (!state_.compare_exchange_weak(state, state + 1)) continue;
        {
          const profile::Span span(profile::Kind::task, "tasks");
          work(static_cast<std::size_t>(number));
        }
        leave();
        break;
      }
    }
  }

  void leave() {
    const std::uint64_t before = state_.fetch_sub(1);
    if ((before & kInside) == 1 && caller_waits_.load()) {
      std::lock_guard lock(mutex_);
      left_.notify_one();
    }
  }

  /// Returns when there is a job other than `seen`; false when the pool stops.
  bool wait_for_job(std::uint64_t seen) {
    // stop() counts as news too: a worker that came late to the last job may already have seen stop()'s number.
    const auto news = [&] { return stopping_.load() || job_of(state_.load()) != seen; };
    for (int spin = 0; spin < kSpins && !news(); ++spin) relax();
    if (!news()) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, news);
      sleepers_.fetch_sub(1);
    }
    return !stopping_.load();
  }

  std::atomic<int> threads_;
  std::mutex owner_;  // held by whoever runs a job or changes the pool
  std::vector<std::thread> workers_;

  std::mutex mutex_;  // for both condition variables and error_
  std::condition_variable wake_, left_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_waits_{false};
  std::atomic<bool> stopping_{false};

  alignas(64) std::atomic<std::uint64_t> state_{0};
  alignas(64) std::vector<Range> ranges_;  // per thread
  void (*body_)(void*, std::int64_t) = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

// A forked child has no workers, and locks may be held there for ever: it works alone.
std::atomic<bool> forked{false};

Pool& pool() {
  static Pool* const instance = [] {
    auto made = std::make_unique<Pool>();
    pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
    return made.release();
  }();
  static const struct Finisher {
    ~Finisher() {
      if (!forked.load()) instance->finish();
    }
  } finisher;
  return *instance;
}

}  // namespace

int num_threads() { return pool().threads(); }

void set_num_threads(int threads) {
  OCTET_CHECK(threads >= 1 && threads <= kMostThreads, "parallel", "{} threads asked for, 1 to {} are possible",
              threads, kMostThreads);
  OCTET_CHECK(!inside_task, "parallel", "the number of threads cannot change inside a parallel task");
  if (!forked.load()) pool().resize(threads);  // a forked child works alone
}

void parallel_run(std::int64_t tasks, void (*body)(void* context, std::int64_t i), void* context) {
  const bool alone = tasks <= 1 || inside_task || forked.load(std::memory_order_relaxed) || pool().threads() == 1;
  if (!alone && pool().try_run(tasks, body, context)) return;
  for (std::int64_t i = 0; i < tasks; ++i) body(context, i);
}

}  // namespace octet
