// How the device's kernels divide channels-last maps between blocks. Sums over items depend on the division, so it
// follows from the problem alone, never from the device.
#pragma once
#include <cstdint>

#include "kernels/problem.h"

namespace octet::kernels {

constexpr unsigned kChannelThreads = 256;

/// Blocks of kChannelThreads threads, strips · chunks of them: a block takes a strip of lanes · V neighbouring channels
/// and a chunk of the items (pixels, or groups of them). Its threads stand in rows of `lanes`: lanes take V channels
/// each, rows items in turn.
struct ChannelGrid {
  unsigned lanes = 1, strips = 1, chunks = 1;
  int items = 0, chunk = 1;
  unsigned rows() const { return kChannelThreads / lanes; }
};

/// More items than this are refused, so that indices of items and pixels fit an int.
constexpr std::int64_t kMostItems = std::int64_t{1} << 30;

/// About `wanted` blocks where there are items enough to give each thread of them one. 1 <= wanted <= 65535.
inline ChannelGrid channel_grid(std::int64_t items, std::int64_t c, int vector, unsigned wanted) {
  ChannelGrid grid;
  const std::int64_t vectors = (c + vector - 1) / vector;
  while (grid.lanes < 32 && grid.lanes < vectors) grid.lanes *= 2;
  grid.strips = static_cast<unsigned>((vectors + grid.lanes - 1) / grid.lanes);
  const std::int64_t rows = grid.rows(), most = grid.strips < wanted ? wanted / grid.strips : 1;
  const std::int64_t turns = (items + rows * most - 1) / (rows * most);
  grid.items = static_cast<int>(items);
  grid.chunk = static_cast<int>(rows * (turns < 1 ? 1 : turns));
  grid.chunks = items < 1 ? 1u : static_cast<unsigned>((items + grid.chunk - 1) / grid.chunk);
  return grid;
}

/// Null, or why indices would not fit.
inline const char* too_large(const ConvGeometry& g) {
  const bool fits =
      g.n * g.h * g.w <= kMostItems && g.out_pixels() <= kMostItems && g.r * g.s <= kMostItems && g.c <= kMostItems;
  return fits ? nullptr : "more than 2^30 pixels or channels";
}

}  // namespace octet::kernels
