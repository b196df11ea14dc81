// How element-wise work is cut into tasks: by the problem alone, so that the number of threads shows nowhere.
#pragma once
#include <cstdint>

#include "core/parallel.h"

namespace octet::kernels {
namespace {

/// Elements of a task: enough to hide its start, few enough to stay in a core's cache.
constexpr std::int64_t kBlock = 16384;

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// f(begin, end) for blocks of `count` elements.
template <class F>
inline void for_blocks(std::int64_t count, F&& f) {
  parallel_for(ceil_div(count, kBlock), [&](std::int64_t task) {
    const std::int64_t begin = task * kBlock;
    f(begin, begin + kBlock < count ? begin + kBlock : count);
  });
}

/// f(row) for rows of `length` elements, about kBlock elements to a task.
template <class F>
inline void for_rows(std::int64_t rows, std::int64_t length, F&& f) {
  const std::int64_t group = length > 0 && length < kBlock ? kBlock / length : 1;
  parallel_for(ceil_div(rows, group), [&](std::int64_t task) {
    const std::int64_t last = (task + 1) * group < rows ? (task + 1) * group : rows;
    for (std::int64_t row = task * group; row < last; ++row) f(row);
  });
}

/// f(row, index, begin, end) for every block [begin, end) of every row; a row has ceil_div(length, block) blocks.
template <class F>
inline void for_row_blocks(std::int64_t rows, std::int64_t length, std::int64_t block, F&& f) {
  const std::int64_t blocks = ceil_div(length, block);
  for_rows(rows * blocks, length < block ? length : block, [&](std::int64_t i) {
    const std::int64_t row = i / blocks, index = i % blocks, begin = index * block;
    f(row, index, begin, begin + block < length ? begin + block : length);
  });
}

}  // namespace
}  // namespace octet::kernels
