// Loads and stores of several neighbouring elements at once, for kernels at the speed of the memory. Included by .cu
// files.
#pragma once
#include <initializer_list>

#include "core/gpu/dialect.h"

namespace octet::gpu {
namespace {

/// kWidth elements that one instruction moves; at most 16 bytes.
template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T at[kWidth];
};

/// Elements [kWidth · unit, kWidth · (unit + 1)).
template <int kWidth, class T>
__device__ __forceinline__ Pack<T, kWidth> load_pack(const T* from, std::size_t unit) {
  return reinterpret_cast<const Pack<T, kWidth>*>(from)[unit];
}
template <int kWidth, class T>
__device__ __forceinline__ void store_pack(T* to, std::size_t unit, const Pack<T, kWidth>& values) {
  reinterpret_cast<Pack<T, kWidth>*>(to)[unit] = values;
}

/// May rows of `length` elements be read in packs of so many bytes from all these places? Null is any place.
inline bool packable(std::size_t length, std::size_t width, std::size_t bytes,
                     std::initializer_list<const void*> places) {
  for (const void* place : places)
    if (reinterpret_cast<std::uintptr_t>(place) % bytes != 0) return false;
  return length % width == 0;
}

}  // namespace
}  // namespace octet::gpu
