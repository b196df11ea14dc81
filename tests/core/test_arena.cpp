// Ranges that are cut and joined, held against a plain list of who has what.
#include "core/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "core/random.h"

namespace octet {
namespace {

constexpr std::size_t kPage = Arena::kPage;

TEST(Arena, neighbours_join_again) {
  Arena arena;
  void* const a = arena.take(3 * kPage);
  void* const b = arena.take(5 * kPage);
  void* const c = arena.take(2 * kPage);
  EXPECT_EQ(static_cast<char*>(a) + 3 * kPage, b);
  EXPECT_EQ(static_cast<char*>(b) + 5 * kPage, c);
  arena.give(a, 3 * kPage);
  arena.give(c, 2 * kPage);
  EXPECT_EQ(arena.bytes_cached(), 5 * kPage);
  EXPECT_EQ(arena.take(2 * kPage), c);  // the better fit
  arena.give(c, 2 * kPage);
  arena.give(b, 5 * kPage);
  const std::size_t fresh = arena.fresh_takes();
  EXPECT_EQ(arena.take(10 * kPage), a);
  EXPECT_EQ(arena.fresh_takes(), fresh);
  arena.give(a, 10 * kPage);
  EXPECT_EQ(arena.take(11 * kPage), a);  // ten pages used before, and one more
  EXPECT_EQ(arena.fresh_takes(), fresh + 1);
  EXPECT_EQ(arena.bytes_cached(), 0u);
  arena.give(a, 11 * kPage);
  arena.trim();
}

TEST(Arena, a_repeated_step_repeats_its_addresses) {
  Arena arena;
  const std::vector<std::size_t> sizes{7, 3, 16, 1, 9, 3};
  std::vector<std::vector<void*>> steps;
  std::size_t fresh = 0;
  for (int step = 0; step < 3; ++step) {
    auto& blocks = steps.emplace_back();
    for (const std::size_t size : sizes) blocks.push_back(arena.take(size * kPage));
    for (std::size_t i = 0; i < sizes.size(); ++i) arena.give(blocks[(i * 5) % 6], sizes[(i * 5) % 6] * kPage);
    if (step == 0) fresh = arena.fresh_takes();
  }
  EXPECT_EQ(steps[0], steps[1]);
  EXPECT_EQ(steps[1], steps[2]);
  EXPECT_EQ(arena.fresh_takes(), fresh);
  arena.trim();
}

TEST(Arena, nobody_gets_what_another_has) {
  struct Block {
    unsigned char* memory;
    std::size_t size;
    unsigned char mark;
  };
  Arena arena;
  Random random(1, Purpose::test);
  std::vector<Block> live;
  const auto check_and_give = [&](std::size_t i) {
    const Block block = live[i];
    for (std::size_t at = 0; at < block.size; at += kPage / 2) ASSERT_EQ(block.memory[at], block.mark);
    ASSERT_EQ(block.memory[block.size - 1], block.mark);
    arena.give(block.memory, block.size);
    live[i] = live.back();
    live.pop_back();
  };
  for (int round = 0; round < 3000; ++round) {
    if (live.size() < 5 || random.below(100) < (round % 1000 < 500 ? 60u : 40u)) {
      const std::size_t pages = random.below(20) == 0 ? 1 + random.below(2000) : 1 + random.below(40);
      auto* const memory = static_cast<unsigned char*>(arena.take(pages * kPage));
      ASSERT_NE(memory, nullptr);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(memory) % kPage, 0u);
      live.push_back({memory, pages * kPage, static_cast<unsigned char>(round)});
      for (std::size_t at = 0; at < pages * kPage; at += kPage / 2) memory[at] = live.back().mark;
      memory[pages * kPage - 1] = live.back().mark;
    } else {
      check_and_give(random.below(live.size()));
    }
    if (round % 701 == 700) arena.trim();
  }
  while (!live.empty()) check_and_give(0);
  arena.trim();
  EXPECT_EQ(arena.bytes_cached(), 0u);
}

TEST(Arena, more_than_one_mapping_and_what_no_system_has) {
  Arena arena;
  const std::size_t wide = std::size_t{600} << 20;
  char* const a = static_cast<char*>(arena.take(wide));
  char* const b = static_cast<char*>(arena.take(wide));
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  a[wide - 1] = b[0] = 1;
  EXPECT_EQ(arena.take(std::size_t{1} << 50), nullptr);
  arena.give(b, wide);
  arena.give(a, wide);
  EXPECT_EQ(arena.bytes_cached(), 2 * wide);
  arena.trim();
  EXPECT_EQ(arena.bytes_cached(), 0u);
  void* const again = arena.take(kPage);
  static_cast<char*>(again)[0] = 1;
  arena.give(again, kPage);
  arena.trim();
}

}  // namespace
}  // namespace octet
