#include "benchmarks/peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/cpu_features.h"
#include "core/parallel.h"

namespace octet::bench {
namespace {

constexpr int kChains = 12;  // independent accumulators: more than latency times units of any processor so far

#if defined(__x86_64__)
// Twelve instructions on accumulators 0 … 11 and two operands that no compiler without these ISA flags would use. All
// registers are zeroed first: denormals or NaN left in them could slow the units.
#define OCTET_CHAINS(instruction, a, b, reg)                                                                      \
  instruction " " a "," b "," reg "0\n" instruction " " a "," b "," reg "1\n" instruction " " a "," b "," reg     \
              "2\n" instruction " " a "," b "," reg "3\n" instruction " " a "," b "," reg "4\n" instruction " " a \
              "," b "," reg "5\n" instruction " " a "," b "," reg "6\n" instruction " " a "," b "," reg           \
              "7\n" instruction " " a "," b "," reg "8\n" instruction " " a "," b "," reg "9\n" instruction " " a \
              "," b "," reg "10\n" instruction " " a "," b "," reg "11\n"
#define OCTET_CLOBBERS                                                                                                \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15", "cc"
#define OCTET_LOOP(name, body)                                                                                 \
  void name(std::int64_t rounds) {                                                                             \
    __asm__ volatile("vzeroall\n1:\n" body "sub $1, %0\njnz 1b\nvzeroupper\n" : "+r"(rounds)::OCTET_CLOBBERS); \
  }
// vzeroall clears the whole of registers 0 … 15, in their zmm form too.
OCTET_LOOP(fma_zmm, OCTET_CHAINS("vfmadd231ps", "%%zmm14", "%%zmm15", "%%zmm"))
OCTET_LOOP(fma_ymm, OCTET_CHAINS("vfmadd231ps", "%%ymm14", "%%ymm15", "%%ymm"))
OCTET_LOOP(dot_zmm, OCTET_CHAINS("vpdpbusd", "%%zmm14", "%%zmm15", "%%zmm"))
OCTET_LOOP(dot_vex_ymm, OCTET_CHAINS("%{vex%} vpdpbusd", "%%ymm14", "%%ymm15", "%%ymm"))
// AVX2 has no dot product of bytes: codes widened to 16 bits, multiplied in pairs, then added.
OCTET_LOOP(bf16_zmm, OCTET_CHAINS("vdpbf16ps", "%%zmm14", "%%zmm15", "%%zmm"))
OCTET_LOOP(dot_ymm, OCTET_CHAINS("vpmaddwd", "%%ymm14", "%%ymm15", "%%ymm")
                        OCTET_CHAINS("vpaddd", "%%ymm12", "%%ymm13", "%%ymm"))
#endif

/// Without vector instructions: what the compiler makes of a loop over fused multiply-adds.
void fma_portable(std::int64_t rounds) {
  float sums[kChains] = {};
  for (std::int64_t i = 0; i < rounds; ++i)
    for (float& sum : sums) sum = std::fma(sum, 0.5f, 1.0f);
  volatile float keep = sums[0];
  static_cast<void>(keep);
}
void dot_portable(std::int64_t rounds) {
  volatile std::uint32_t code = 3;
  const std::uint32_t factor = code;
  std::uint32_t sums[kChains] = {};
  for (std::int64_t i = 0; i < rounds; ++i)
    for (std::uint32_t& sum : sums) sum = sum * factor + 7;
  volatile std::uint32_t keep = sums[0];
  static_cast<void>(keep);
}

struct Loop {
  void (*run)(std::int64_t rounds);
  double ops_per_round;
  const char* how;
};

Loop fma_loop() {
#if defined(__x86_64__)
  if (detected_isa() >= Isa::avx512) return {fma_zmm, 2.0 * 16 * kChains, "vfmadd231ps zmm"};
  if (detected_isa() >= Isa::avx2) return {fma_ymm, 2.0 * 8 * kChains, "vfmadd231ps ymm"};
#endif
  return {fma_portable, 2.0 * kChains, "scalar fma"};
}
Loop int8_loop() {
#if defined(__x86_64__)
  if (detected_isa() >= Isa::avx512vnni) return {dot_zmm, 2.0 * 64 * kChains, "vpdpbusd zmm"};
  if (detected_isa() == Isa::avxvnni) return {dot_vex_ymm, 2.0 * 32 * kChains, "vpdpbusd ymm"};
  if (detected_isa() >= Isa::avx2) return {dot_ymm, 2.0 * 16 * kChains, "vpmaddwd ymm"};
#endif
  return {dot_portable, 2.0 * kChains, "scalar multiply-add"};
}

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The shortest of `rounds` runs: whatever else the machine does only makes them longer.
template <class F>
double best_seconds(int rounds, F&& f) {
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) best = std::min(best, seconds_of(f));
  return best;
}

double rate_of(const Loop& loop, double seconds) {
  std::int64_t steps = 1000;
  while (seconds_of([&] { loop.run(steps); }) < seconds / 16) steps *= 2;
  // Many small tasks: a thread that is held up leaves its share to the others.
  const std::int64_t tasks = std::int64_t{4} * num_threads();
  const double best = best_seconds(5, [&] { parallel_for(tasks, [&](std::int64_t) { loop.run(steps); }); });
  return loop.ops_per_round * static_cast<double>(steps * tasks) / best / 1e9;
}

/// Nothing to run where the processor has no such instruction: it stands beside the ladder of Isa.
Loop bf16_loop() {
#if defined(__x86_64__)
  if (detected_isa() >= Isa::avx512 && __builtin_cpu_supports("avx512bf16"))
    return {bf16_zmm, 2.0 * 32 * kChains, "vdpbf16ps zmm"};
#endif
  return {nullptr, 0, ""};
}

double memory_rate(bool quick) {
  const std::int64_t floats = (quick ? 8 : 64) << 20, block = 1 << 16;
  std::vector<float> values(static_cast<std::size_t>(floats), 1.0f);
  const double best = best_seconds(quick ? 3 : 7, [&] {
    parallel_for(floats / block, [&](std::int64_t task) {
      float* p = values.data() + task * block;
      for (std::int64_t i = 0; i < block; ++i) p[i] += 1.0f;
    });
  });
  return 2.0 * static_cast<double>(floats) * sizeof(float) / best / 1e9;
}

}  // namespace

Peaks measure_peaks(bool quick) {
  const double seconds = quick ? 0.002 : 0.03;
  const Loop fma = fma_loop(), int8 = int8_loop();
  const Loop bf16 = bf16_loop();
  return {rate_of(fma, seconds),
          rate_of(int8, seconds),
          memory_rate(quick),
          fma.how,
          int8.how,
          bf16.run == nullptr ? 0 : rate_of(bf16, seconds),
          bf16.how};
}

Peaks better_of(const Peaks& a, const Peaks& b) {
  Peaks best = a;
  best.fma_gflops = std::max(a.fma_gflops, b.fma_gflops);
  best.int8_gops = std::max(a.int8_gops, b.int8_gops);
  best.bf16_gflops = std::max(a.bf16_gflops, b.bf16_gflops);
  best.memory_gbytes = std::max(a.memory_gbytes, b.memory_gbytes);
  return best;
}

const char* name_of(Bound bound) {
  switch (bound) {
    case Bound::fma:
      return "fma";
    case Bound::int8:
      return "int8";
    case Bound::memory:
      return "memory";
    case Bound::bf16:
      return "bf16";
  }
  return "unknown";
}

double gops_of(Unit unit, const Peaks& peaks) {
  if (unit == Unit::int8) return peaks.int8_gops;
  return unit == Unit::bf16 && peaks.bf16_gflops > 0 ? peaks.bf16_gflops : peaks.fma_gflops;
}

Bound bound_of(const Work& work, const Peaks& peaks) {
  if (work.ops / gops_of(work.unit, peaks) <= work.bytes / peaks.memory_gbytes) return Bound::memory;
  return work.unit == Unit::int8 ? Bound::int8 : work.unit == Unit::bf16 ? Bound::bf16 : Bound::fma;
}

double least_seconds(const Work& work, const Peaks& peaks) {
  return std::max(work.ops / gops_of(work.unit, peaks), work.bytes / peaks.memory_gbytes) / 1e9;
}

}  // namespace octet::bench
