// Kernels that show what the dialect's barriers and warp functions do, in the forms that this build has.
#pragma once
#include <cstddef>

namespace octet::test {

#define OCTET_PROBES(form)                                                                   \
  void reverse_blocks_##form(const float* from, float* to, std::size_t count, void* stream); \
  void warp_sums_##form(const float* from, float* to, std::size_t warps, void* stream);      \
  void count_votes_##form(const int* votes, int* to, std::size_t blocks, void* stream);      \
  void lonely_barrier_##form(int* to, void* stream);                                         \
  void add_atomically_##form(const float* from, float* to, std::size_t count, void* stream);
OCTET_PROBES(cuda)
OCTET_PROBES(emulated)
#undef OCTET_PROBES

}  // namespace octet::test
