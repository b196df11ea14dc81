#include "core/allocator.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/expect_error.h"

namespace octet {
namespace {

TEST(Allocator, a_repeated_step_repeats_its_addresses) {
  allocator_trim();
  const std::vector<std::size_t> sizes{1000, 4096, 1000, 12345, 64};
  std::vector<std::vector<void*>> steps;
  std::uint64_t system_after_first = 0;
  for (int step = 0; step < 3; ++step) {
    std::vector<std::shared_ptr<void>> blocks;
    std::vector<void*> addresses;
    for (std::size_t size : sizes) addresses.push_back(blocks.emplace_back(allocate(size)).get());
    steps.push_back(addresses);
    if (step == 0) system_after_first = allocator_stats().system_allocations;
    while (!blocks.empty()) blocks.pop_back();  // released last first
  }
  EXPECT_EQ(allocator_stats().system_allocations, system_after_first);
  EXPECT_EQ(steps[0], steps[1]);
  EXPECT_EQ(steps[1], steps[2]);
}

TEST(Allocator, blocks_are_aligned_apart_and_usable) {
  std::vector<std::shared_ptr<void>> blocks;
  for (std::size_t size = 0; size < 300; ++size) {
    blocks.push_back(allocate(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back().get()) % 64, 0u);
    std::memset(blocks.back().get(), static_cast<int>(size & 0xFF), size);
  }
  for (std::size_t size = 0; size < 300; ++size) {
    const auto* bytes = static_cast<const unsigned char*>(blocks[size].get());
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], size & 0xFF);
  }
}

TEST(Allocator, counts_what_it_holds) {
  allocator_trim();
  const AllocatorStats before = allocator_stats();
  EXPECT_EQ(before.bytes_cached, 0u);
  auto block = allocate(1 << 20);
  EXPECT_EQ(allocator_stats().bytes_live, before.bytes_live + (1 << 20));
  EXPECT_EQ(allocator_stats().system_allocations, before.system_allocations + 1);
  block.reset();
  EXPECT_EQ(allocator_stats().bytes_live, before.bytes_live);
  EXPECT_EQ(allocator_stats().bytes_cached, std::size_t{1} << 20);
  block = allocate(1 << 20);
  EXPECT_EQ(allocator_stats().reused, before.reused + 1);
  EXPECT_EQ(allocator_stats().bytes_cached, 0u);
  block.reset();
  allocator_trim();
  EXPECT_EQ(allocator_stats().bytes_cached, 0u);
}

TEST(Allocator, absurd_sizes_are_refused) {
  EXPECT_ERROR(allocate(~std::size_t{0}), "2^39");
  EXPECT_ERROR(allocate(~std::size_t{0} - 100), "2^39");
  EXPECT_ERROR(scratch_acquire((std::size_t{1} << 39) + 1), "2^39");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
TEST(Allocator, exhausted_memory_is_an_error_and_not_the_end) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    allocate(std::size_t{300} << 20).reset();  // cached: given back before the allocator gives up
    const rlimit limit{std::size_t{700} << 20, std::size_t{700} << 20};
    ::setrlimit(RLIMIT_AS, &limit);
    if (::mmap(nullptr, std::size_t{1} << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) ::_exit(77);
    if (allocate(std::size_t{500} << 20) == nullptr) ::_exit(2);
    try {
      allocate(std::size_t{1} << 30);
    } catch (const Error& error) {
      ::_exit(std::string(error.what()).find("HINT use a smaller batch") != std::string::npos ? 0 : 3);
    }
    ::_exit(4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "memory limits have no effect here (an emulator)";
  EXPECT_EQ(status, 0);
}
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
TEST(Allocator, large_blocks_share_memory_whatever_their_sizes) {
  allocator_trim();
  constexpr std::size_t mega = std::size_t{1} << 20;
  std::vector<std::shared_ptr<void>> blocks;
  for (int i = 0; i < 12; ++i) std::memset(blocks.emplace_back(allocate(mega)).get(), i, mega);
  const AllocatorStats full = allocator_stats();
  blocks.clear();
  EXPECT_EQ(allocator_stats().bytes_cached, 12 * mega);
  const auto large = allocate(7 * mega), small = allocate(5 * mega - 1000);
  std::memset(large.get(), 1, 7 * mega);
  std::memset(small.get(), 2, 5 * mega - 1000);
  EXPECT_EQ(static_cast<char*>(large.get())[7 * mega - 1], 1);
  EXPECT_EQ(allocator_stats().system_allocations, full.system_allocations);
  EXPECT_EQ(allocator_stats().bytes_cached, 0u);
  EXPECT_EQ(allocator_stats().peak_held, full.peak_held);
}
#endif

TEST(Allocator, scratch_comes_back) {
  void* a = scratch_acquire(777);
  scratch_release(a, 777);
  void* b = scratch_acquire(777);
  EXPECT_EQ(a, b);
  scratch_release(b, 777);
  scratch_release(nullptr, 5);
}

TEST(Allocator, threads_may_share_it) {
  const std::size_t live = allocator_stats().bytes_live;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        const std::size_t size = 64 * static_cast<std::size_t>(1 + (i + t) % 7);
        auto block = allocate(size);
        std::memset(block.get(), t, size);
        ASSERT_EQ(static_cast<unsigned char*>(block.get())[size - 1], t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator_stats().bytes_live, live);
}

}  // namespace
}  // namespace octet
