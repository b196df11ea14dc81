#include <gtest/gtest.h>

#include "kernels/channel_grid.h"

namespace octet::kernels {
namespace {

TEST(GpuChannelGrid, CoversChannelsAndItems) {
  for (std::int64_t items : {1, 2, 31, 32, 33, 1000, 70001, 1 << 30})
    for (std::int64_t c : {1, 3, 4, 5, 31, 32, 33, 128, 132, 1000, 1 << 20})
      for (int vector : {1, 4})
        for (unsigned wanted : {1u, 64u, 1024u, 4096u}) {
          const ChannelGrid grid = channel_grid(items, c, vector, wanted);
          SCOPED_TRACE(testing::Message()
                       << items << " items of " << c << " channels by " << vector << ", " << wanted << " blocks");
          ASSERT_EQ(kChannelThreads % grid.lanes, 0u);
          ASSERT_LE(grid.lanes, 32u);
          const std::int64_t strip = std::int64_t{grid.lanes} * vector;
          EXPECT_GE(grid.strips * strip, c);
          EXPECT_LT((grid.strips - 1) * strip, c) << "an empty strip";
          EXPECT_GE(std::int64_t{grid.chunks} * grid.chunk, items);
          EXPECT_LT((std::int64_t{grid.chunks} - 1) * grid.chunk, items) << "an empty chunk";
          EXPECT_EQ(static_cast<unsigned>(grid.chunk) % grid.rows(), 0u);
          EXPECT_LE(grid.chunks, 65535u);
          EXPECT_TRUE(grid.chunks == 1 || std::int64_t{grid.chunks} * grid.strips <= wanted);
        }
}

TEST(GpuChannelGrid, FillsADevice) {
  const ChannelGrid large = channel_grid(64 * 112 * 112, 32, 4, 1024);
  EXPECT_EQ(large.lanes, 8u);
  EXPECT_GT(large.strips * large.chunks, 900u);
  // One pixel a picture: still a block for every few pictures.
  const ChannelGrid small = channel_grid(128, 1024, 4, 1024);
  EXPECT_EQ(small.strips, 8u);
  EXPECT_EQ(small.chunks, 16u);
}

TEST(GpuChannelGrid, RefusesWhatAnIntCannotCount) {
  ConvGeometry g{.n = 1 << 10, .h = 1 << 10, .w = 1 << 10, .c = 1, .k = 1};
  EXPECT_EQ(too_large(g), nullptr);
  g.n *= 2;
  EXPECT_NE(too_large(g), nullptr);
}

}  // namespace
}  // namespace octet::kernels
