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

inline void mma_bf16(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const int line = lane() / 4, pair = lane() % 4 * 2;
  // Of line `line` and the one eight below, and of two columns: 16 of the depth, two in 32 bits.
  float x[2][16], y[2][16];
  for (int q = 0; q < 4; ++q) {
    const auto upper = exchange_value(std::uint64_t{a[0]} | std::uint64_t{a[2]} << 32, line * 4 + q),
               lower = exchange_value(std::uint64_t{a[1]} | std::uint64_t{a[3]} << 32, line * 4 + q);
    const std::uint64_t columns[2] = {exchange_value(std::uint64_t{b0} | std::uint64_t{b1} << 32, pair * 4 + q),
                                      exchange_value(std::uint64_t{b0} | std::uint64_t{b1} << 32, pair * 4 + 4 + q)};
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 2; ++i) {
        const int shift = 32 * half + 16 * i, d = 8 * half + 2 * q + i;
        x[0][d] = from_bf16(upper >> shift), x[1][d] = from_bf16(lower >> shift);
        y[0][d] = from_bf16(columns[0] >> shift), y[1][d] = from_bf16(columns[1] >> shift);
      }
  }
  for (int i = 0; i < 4; ++i)
    for (int d = 0; d < 16; ++d) sum[i] = __fmaf_rn(x[i / 2][d], y[i % 2][d], sum[i]);
}

}  // namespace octet::gpu::emulator
