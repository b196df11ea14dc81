// CUDA C++ on the host: the types, variables and functions of the device that the .cu files use, for the host's compiler. Each
// thread of a block is a fiber; a barrier switches between them; blocks run on the thread pool. What a kernel does wrong with
// indices is seen here as on a device, and AddressSanitizer sees it where memory is left. It says nothing about time, nor about
// races that need two threads at once. Included by core/gpu/dialect.h only.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __shared__ static thread_local

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(4) char4 {
  signed char x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

namespace octet::gpu::emulator {

/// Where the running fiber is.
struct Place {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
const Place& place();

/// Runs body once for each thread of each block; records it instead while a graph is being recorded.
void launch(dim3 grid, dim3 block, const char* kernel, std::function<void()> body);

void sync_block();
void sync_warp();
/// Sum over a block, of __syncthreads_count and its kind.
int sync_count(bool vote);
/// Gives `bits` and gets those of lane `from` of the warp.
std::uint64_t exchange(std::uint64_t bits, int from);
int lane();

template <class T>
T exchange_value(T value, int from) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(bits, from);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace octet::gpu::emulator

#define threadIdx (::octet::gpu::emulator::place().thread)
#define blockIdx (::octet::gpu::emulator::place().block)
#define blockDim (::octet::gpu::emulator::place().block_size)
#define gridDim (::octet::gpu::emulator::place().grid_size)

inline void __syncthreads() { octet::gpu::emulator::sync_block(); }
inline int __syncthreads_or(int vote) { return octet::gpu::emulator::sync_count(vote != 0) > 0; }
inline int __syncthreads_count(int vote) { return octet::gpu::emulator::sync_count(vote != 0); }
inline void __syncwarp(unsigned = 0xffffffffu) { octet::gpu::emulator::sync_warp(); }
inline void __threadfence() {}

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return octet::gpu::emulator::exchange_value(value, octet::gpu::emulator::lane() ^ mask);
}
template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return octet::gpu::emulator::exchange_value(value, from & 31);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta) {
  const int from = octet::gpu::emulator::lane() + static_cast<int>(delta);
  return octet::gpu::emulator::exchange_value(value, from > 31 ? octet::gpu::emulator::lane() : from);
}

using std::max;
using std::min;
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline int __float2int_rn(float x) { return static_cast<int>(std::rint(x)); }
inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
/// Byte i of the result is byte `selector >> 4 i & 7` of y:x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const std::uint64_t bytes = std::uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return result;
}
/// Σ of four s8·s8 products.
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c = static_cast<int>(static_cast<unsigned>(c) + static_cast<unsigned>(static_cast<std::int8_t>(a >> 8 * i) *
                                                                          static_cast<std::int8_t>(b >> 8 * i)));
  return c;
}

template <class T>
T atomicAdd(T* to, T value) {
  T old;
  __atomic_load(to, &old, __ATOMIC_RELAXED);
  for (T next = old + value; !__atomic_compare_exchange(to, &old, &next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
       next = old + value) {
  }
  return old;
}
template <class T>
T atomicMax(T* to, T value) {
  T old;
  __atomic_load(to, &old, __ATOMIC_RELAXED);
  for (T next = std::max(old, value);
       !__atomic_compare_exchange(to, &old, &next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
       next = std::max(old, value)) {
  }
  return old;
}

#define OCTET_GPU_NAME(name) name##_emulated
#define OCTET_GPU_WHY_NOT(name) name##_emulated_why_not
#define OCTET_GPU_PACKED_BYTES(name) name##_emulated_packed_bytes
#define OCTET_GPU_PACK(name) name##_emulated_pack
#define OCTET_LAUNCH(kernel, grid, block, stream, ...)                                                           \
  do {                                                                                                           \
    static_cast<void>(stream);                                                                                   \
    ::octet::gpu::emulator::launch(dim3(grid), dim3(block), #kernel,                                             \
                                   ::octet::gpu::emulator::bound([](auto... a) { kernel(a...); }, __VA_ARGS__)); \
  } while (false)

namespace octet::gpu::emulator {
/// A kernel with copies of its arguments, as a launch takes them.
template <class Kernel, class... Arguments>
std::function<void()> bound(Kernel kernel, Arguments... arguments) {
  return [kernel, arguments...] { kernel(arguments...); };
}
}  // namespace octet::gpu::emulator
