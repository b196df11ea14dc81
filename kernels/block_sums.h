// Sums over blocks (blocks.h), for reference rows and what else is compiled without instruction sets.
#pragma once
#include <vector>

#include "kernels/blocks.h"

namespace octet::kernels {
namespace {

/// f(begin, end) of all blocks of `count` elements, added block by block.
template <class F>
double sum_of_blocks(std::int64_t count, F&& f) {
  std::vector<double> parts(static_cast<std::size_t>(ceil_div(count, kBlock)));
  for_blocks(count, [&](std::int64_t begin, std::int64_t end) {
    parts[static_cast<std::size_t>(begin / kBlock)] = f(begin, end);
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace
}  // namespace octet::kernels
