#include "core/gpu/dialect.h"

#include <ucontext.h>
#include <csetjmp>

#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/gpu/emulated_backend.h"
#include "core/parallel.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace octet::gpu::emulator {
namespace {

constexpr int kWarp = 32;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStack = 256 << 10;
#else
constexpr std::size_t kStack = 64 << 10;
#endif

/// Threads that wait for one another; who arrives last lets all go on.
struct Barrier {
  int members = 0, arrived = 0, votes = 0, counted = 0;
  std::uint64_t generation = 0;
};

struct Warp {
  Barrier barrier;
  std::uint64_t slots[kWarp] = {};
};

/// A place to go on from. swapcontext() asks the system for the signal mask each time, which would cost more than most kernels'
/// threads do: it only enters a fiber for the first time. AddressSanitizer wants to be told of every switch.
struct Stop {
  ucontext_t context;
  std::jmp_buf jump;
  bool entered = false;
#if defined(__SANITIZE_ADDRESS__)
  const void* stack = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;
#endif
};

void switch_stops(Stop& from, Stop& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.size);
  swapcontext(&from.context, &to.context);
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#else
  if (_setjmp(from.jump) != 0) return;
  if (to.entered) _longjmp(to.jump, 1);
  to.entered = true;
  swapcontext(&from.context, &to.context);
#endif
}

/// A thread of the block; the fiber is used again by the blocks that follow.
struct Fiber {
  Stop stop;
  std::unique_ptr<char[]> stack;
  Place place;
  int number = 0;
  bool done = false;
};

/// The fibers of an OS thread, which runs one block after the other.
class Runner {
 public:
  void run_block(const Place& block, const std::function<void()>& body, const char* kernel);
  void wait(Barrier& barrier, int vote = 0);
  Fiber& current() { return *current_; }
  Barrier& block_barrier() { return block_; }
  Warp& warp() { return warps_[static_cast<std::size_t>(current_->number / kWarp)]; }

 private:
  static void entry();
  void prepare(std::size_t threads);
  void yield() { switch_stops(current_->stop, main_); }
  static void leave_barrier(Barrier& barrier);
  [[noreturn]] void give_up(std::size_t left);

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  Barrier block_;
  Fiber* current_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  const char* kernel_ = "";
  Stop main_;
  bool progress_ = false;
  std::exception_ptr error_;
};

thread_local Runner* t_runner = nullptr;

Runner& runner() {
  thread_local const std::unique_ptr<Runner> own = std::make_unique<Runner>();
  t_runner = own.get();
  return *own;
}

void release(Barrier& barrier) {
  barrier.counted = barrier.votes;
  barrier.arrived = barrier.votes = 0;
  ++barrier.generation;
}

void Runner::prepare(std::size_t threads) {
  while (fibers_.size() < threads) {
    Fiber& f = *fibers_.emplace_back(std::make_unique<Fiber>());
    f.stack.reset(new char[kStack]);
    getcontext(&f.stop.context);
    f.stop.context.uc_stack.ss_sp = f.stack.get(), f.stop.context.uc_stack.ss_size = kStack,
    f.stop.context.uc_link = nullptr;
    makecontext(&f.stop.context, &Runner::entry, 0);
#if defined(__SANITIZE_ADDRESS__)
    f.stop.stack = f.stack.get(), f.stop.size = kStack;
#endif
  }
  warps_.assign((threads + kWarp - 1) / kWarp, {});
  for (std::size_t i = 0; i < threads; ++i) ++warps_[i / kWarp].barrier.members;
  block_ = {};
  block_.members = static_cast<int>(threads);
  main_.entered = true;
}

void Runner::run_block(const Place& block, const std::function<void()>& body, const char* kernel) {
  const std::size_t threads = std::size_t{block.block_size.x} * block.block_size.y * block.block_size.z;
  prepare(threads);
  body_ = &body, kernel_ = kernel, error_ = nullptr;
  for (std::size_t i = 0; i < threads; ++i) {
    Fiber& f = *fibers_[i];
    const auto n = static_cast<unsigned>(i);
    f.place = block;
    f.place.thread = {n % block.block_size.x, n / block.block_size.x % block.block_size.y,
                      n / (block.block_size.x * block.block_size.y)};
    f.number = static_cast<int>(i), f.done = false;
  }
  for (std::size_t left = threads; left > 0;) {
    progress_ = false;
    for (std::size_t i = 0; i < threads; ++i) {
      if (fibers_[i]->done) continue;
      current_ = fibers_[i].get();
      switch_stops(main_, current_->stop);
      if (current_->done) --left, progress_ = true;
    }
    // Fibers that stay behind hold what the kernel's frames own: after an error none of them is used again.
    if (error_ || (!progress_ && left > 0)) return give_up(left);
  }
  current_ = nullptr;
}

/// Within reach of a static pointer, so that nobody takes them for a leak.
void keep_for_ever(std::vector<std::unique_ptr<Fiber>> fibers) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<Fiber>>;
  const std::lock_guard lock(mutex);
  std::move(fibers.begin(), fibers.end(), std::back_inserter(*kept));
}

void Runner::give_up(std::size_t left) {
  current_ = nullptr;
  const std::exception_ptr error = std::exchange(error_, nullptr);
  if (left > 0) keep_for_ever(std::move(fibers_));
  fibers_.clear();
  if (error) std::rethrow_exception(error);
  fail("gpu", fmt::format("{}: threads wait at a barrier that others never reach", kernel_));
}

void Runner::entry() {
  Runner& self = *t_runner;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self.main_.stack, &self.main_.size);
#endif
  for (;;) {
    try {
      (*self.body_)();
    } catch (...) {
      self.error_ = std::current_exception();
    }
    self.current_->done = true;
    leave_barrier(self.block_);
    leave_barrier(self.warp().barrier);
    self.yield();
  }
}

void Runner::leave_barrier(Barrier& barrier) {
  --barrier.members;
  if (barrier.arrived > 0 && barrier.arrived == barrier.members) release(barrier);
}

void Runner::wait(Barrier& barrier, int vote) {
  const std::uint64_t generation = barrier.generation;
  barrier.votes += vote;
  progress_ = true;
  if (++barrier.arrived == barrier.members) return release(barrier);
  while (barrier.generation == generation) yield();
}

}  // namespace

const Place& place() { return t_runner->current().place; }
int lane() { return t_runner->current().number % kWarp; }
void sync_block() { t_runner->wait(t_runner->block_barrier()); }
void sync_warp() { t_runner->wait(t_runner->warp().barrier); }
int sync_count(bool vote) {
  Barrier& barrier = t_runner->block_barrier();
  t_runner->wait(barrier, vote);
  return barrier.counted;
}

std::uint64_t exchange(std::uint64_t bits, int from) {
  Warp& warp = t_runner->warp();
  warp.slots[lane()] = bits;
  t_runner->wait(warp.barrier);
  const std::uint64_t got = warp.slots[from];
  t_runner->wait(warp.barrier);
  return got;
}

void launch(dim3 grid, dim3 block, const char* kernel, std::function<void()> body) {
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  OCTET_CHECK(threads >= 1 && threads <= 1024 && block.z <= 64, "gpu", "{}: a block of {}x{}x{} threads", kernel,
              block.x, block.y, block.z);
  OCTET_CHECK(grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535,
              "gpu", "{}: a grid of {}x{}x{} blocks", kernel, grid.x, grid.y, grid.z);
  perform([=] {
    const std::int64_t blocks = std::int64_t{grid.x} * grid.y * grid.z;
    parallel_for(blocks, [&](std::int64_t i) {
      const auto n = static_cast<std::uint64_t>(i);
      Place place{};
      place.block = {static_cast<unsigned>(n % grid.x), static_cast<unsigned>(n / grid.x % grid.y),
                     static_cast<unsigned>(n / (std::uint64_t{grid.x} * grid.y))};
      place.block_size = block, place.grid_size = grid;
      runner().run_block(place, body, kernel);
    });
  });
}

}  // namespace octet::gpu::emulator
