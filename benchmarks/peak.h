// What this machine can do at most, measured with the threads in use: the roof that every row is held against.
#pragma once
#include <string>

namespace octet::bench {

/// Rates in 1e9 per second.
struct Peaks {
  double fma_gflops = 0;      ///< f32 multiply-adds, two operations each
  double int8_gops = 0;       ///< products of 8-bit codes with their additions, two operations each
  double memory_gbytes = 0;   ///< bytes read and written back while streaming over more than the caches hold
  const char* fma_how = "";   ///< the instruction that was timed: "vfmadd231ps zmm"
  const char* int8_how = "";  ///< "vpdpbusd zmm"
  double bf16_gflops = 0;     ///< products of bf16 with their additions; 0 where the processor has none
  const char* bf16_how = "";  ///< "vdpbf16ps zmm"
};

/// Best of several rounds with num_threads(), of the processor's best instructions whatever OCTET_ISA allows the rows.
/// `quick` takes about a tenth of a second, else about one.
Peaks measure_peaks(bool quick);
/// The higher of each: a neighbour may have slowed one of two measurements.
Peaks better_of(const Peaks& a, const Peaks& b);

/// The roof of a piece of work: the time it would take if only arithmetic, or only memory, counted; the larger one.
enum class Bound { fma, int8, memory, bf16 };
const char* name_of(Bound);

/// The units that multiply.
enum class Unit { fma, int8, bf16 };
/// Their peak; that of FMA where there is none for bf16, which are multiplied as f32 then.
double gops_of(Unit unit, const Peaks& peaks);

/// What a call has to do at least: operations, and bytes that must be read or written once.
struct Work {
  double ops = 0;  ///< 0: memory alone counts
  double bytes = 0;
  Unit unit = Unit::fma;
};
Bound bound_of(const Work& work, const Peaks& peaks);
/// Seconds under that bound.
double least_seconds(const Work& work, const Peaks& peaks);

}  // namespace octet::bench
