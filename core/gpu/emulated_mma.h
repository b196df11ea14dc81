// mma.h on the emulated device: lanes exchange what their fragments lack. Included by core/gpu/mma.h only.
#pragma once
#include "core/bf16.h"
#include "core/gpu/emulator.h"

namespace octet::gpu::emulator {

inline unsigned to_bf16(float x) {
  const float rounded = round_to_bf16(x);
  return static_cast<unsigned>(__float_as_int(rounded)) >> 16;
}
inline float from_bf16(std::uint64_t bits) { return __int_as_float(static_cast<int>((bits & 0xffff) << 16)); }

inline void load_matrices(unsigned (&to)[4], const void* row, bool transposed) {
  const int line = lane() / 4, pair = lane() % 4 * 2;
  for (int matrix = 0; matrix < 4; ++matrix) {
    const auto element = [&](int r, int c) {
      const auto* at = exchange_value(static_cast<const std::uint16_t*>(row), matrix * 8 + r);
      return static_cast<unsigned>(at[c]);
    };
    to[matrix] = transposed ? element(pair, line) | element(pair + 1, line) << 16
                            : element(line, pair) | element(line, pair + 1) << 16;
  }
}

/// What a lane's four sums need: of their two lines and two columns, each 8 registers of the depth, in order.
struct Fragments {
  unsigned line[2][8], column[2][8];
  Fragments(const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const int first = lane() / 4, pair = lane() % 4 * 2;
    for (int q = 0; q < 4; ++q) {
      take(line[0], q, a[0], a[2], first * 4 + q), take(line[1], q, a[1], a[3], first * 4 + q);
      take(column[0], q, b0, b1, pair * 4 + q), take(column[1], q, b0, b1, pair * 4 + 4 + q);
    }
  }

 private:
  static void take(unsigned (&to)[8], int q, unsigned near, unsigned far, int from) {
    const std::uint64_t both = exchange_value(std::uint64_t{near} | std::uint64_t{far} << 32, from);
    to[q] = static_cast<unsigned>(both), to[q + 4] = static_cast<unsigned>(both >> 32);
  }
};

inline void mma_bf16(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const Fragments f(a, b0, b1);
  for (int i = 0; i < 4; ++i)
    for (int d = 0; d < 16; ++d) {
      const int shift = 16 * (d % 2);
      sum[i] = __fmaf_rn(from_bf16(f.line[i / 2][d / 2] >> shift), from_bf16(f.column[i % 2][d / 2] >> shift), sum[i]);
    }
}

inline void mma_s8(int (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const Fragments f(a, b0, b1);
  for (int i = 0; i < 4; ++i)
    for (int d = 0; d < 8; ++d)
      sum[i] = __dp4a(static_cast<int>(f.line[i / 2][d]), static_cast<int>(f.column[i % 2][d]), sum[i]);
}

}  // namespace octet::gpu::emulator
