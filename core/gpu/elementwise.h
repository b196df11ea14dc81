// The few loops over device memory that core itself needs, in the forms of core/gpu/dialect.h.
#pragma once
#include <cstddef>

namespace octet::gpu {

#define OCTET_ELEMENTWISE(form)                                                  \
  void fill_f32_##form(float* to, float value, std::size_t count, void* stream); \
  void fill_s32_##form(int* to, int value, std::size_t count, void* stream);     \
  void sum_f32_##form(float* to, const float* a, const float* b, std::size_t count, void* stream);
OCTET_ELEMENTWISE(cuda)
OCTET_ELEMENTWISE(emulated)
#undef OCTET_ELEMENTWISE

}  // namespace octet::gpu
