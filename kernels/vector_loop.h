// Loops over vectors for element-wise rows. Included after simd_avx2.h or simd_avx512.h, whose types it uses; internal
// linkage throughout.
#pragma once
#include "kernels/blocks.h"
#include "kernels/problem.h"

namespace octet::kernels {
namespace {

/// How many lanes of a vector belong to the data: all of them, or the first n.
struct Whole {};
struct Part {
  int n;
};
OCTET_SIMD VecF load(const float* p, Whole) { return VecF::load(p); }
OCTET_SIMD VecF load(const float* p, Part part) { return VecF::load(p, part.n); }
OCTET_SIMD void store(VecF v, float* p, Whole) { v.store(p); }
OCTET_SIMD void store(VecF v, float* p, Part part) { v.store(p, part.n); }
OCTET_SIMD VecI load(const std::int32_t* p, Whole) { return VecI::load(p); }
OCTET_SIMD VecI load(const std::int32_t* p, Part part) { return VecI::load(p, part.n); }
OCTET_SIMD void store(VecI v, std::int32_t* p, Whole) { v.store(p); }
OCTET_SIMD void store(VecI v, std::int32_t* p, Part part) { v.store(p, part.n); }
OCTET_SIMD VecI load(const std::uint8_t* p, Whole) { return VecI::load_u8(p); }
OCTET_SIMD VecI load(const std::uint8_t* p, Part part) { return VecI::load_u8(p, part.n); }
OCTET_SIMD VecI load(const std::int8_t* p, Whole) { return VecI::load_s8(p); }
OCTET_SIMD VecI load(const std::int8_t* p, Part part) { return VecI::load_s8(p, part.n); }
OCTET_SIMD void store_bytes(VecI v, void* p, Whole) { v.store_bytes(p); }
OCTET_SIMD void store_bytes(VecI v, void* p, Part part) { v.store_bytes(p, part.n); }

inline const float* floats(const void* p) { return static_cast<const float*>(p); }
inline float* floats(void* p) { return static_cast<float*>(p); }

/// f(i, Whole) for every full vector of [begin, end), f(i, Part) for what is left.
template <class F>
OCTET_SIMD void for_vectors(std::int64_t begin, std::int64_t end, F&& f) {
  std::int64_t i = begin;
  for (; i + VecF::width <= end; i += VecF::width) f(i, Whole{});
  if (i < end) f(i, Part{static_cast<int>(end - i)});
}

/// f(i, Whole or Part) over `count` elements, in parallel.
template <class F>
inline void for_elements(std::int64_t count, F f) {
  for_blocks(count, [&](std::int64_t begin, std::int64_t end) {
    F own = f;  // constants within f may stay in registers: no store can alias this copy
    for_vectors(begin, end, own);
  });
}

/// f(i, scale, shift, Whole or Part) over `count` elements whose channel is i mod c, in parallel. Rows of few channels
/// are taken 16 at a time with repeated scales, so that no vector stands half empty.
template <class F>
inline void for_channels(std::int64_t count, std::int64_t c, const float* scale, const float* shift, F f) {
  constexpr int kRepeat = 16, kFew = 64;
  float scales[kRepeat * kFew], shifts[kRepeat * kFew];
  std::int64_t length = c;
  if (c % kRepeat != 0 && c < kFew) {
    length = c * kRepeat;
    for (std::int64_t i = 0; i < length; ++i) {
      scales[i] = scale[i % c];
      shifts[i] = shift[i % c];
    }
    scale = scales;
    shift = shifts;
  }
  for_rows(ceil_div(count, length), length, [&](std::int64_t row) {
    const std::int64_t base = row * length, rest = count - base;
    for_vectors(0, rest < length ? rest : length,
                [&](std::int64_t j, auto part) { f(base + j, load(scale + j, part), load(shift + j, part), part); });
  });
}

template <Activation A>
struct ActivationTag {
  static constexpr Activation act = A;
};
/// f(tag) with the activation known at compile time.
template <class F>
inline void with_activation(Activation act, F f) {
  if (act == Activation::relu6) return f(ActivationTag<Activation::relu6>{});
  if (act == Activation::relu) return f(ActivationTag<Activation::relu>{});
  f(ActivationTag<Activation::none>{});
}
/// As activate() of activation.h: the order of the operands lets NaN through.
template <Activation A>
OCTET_SIMD VecF activate(VecF t) {
  if (A == Activation::none) return t;
  t = max(VecF::zero(), t);
  return A == Activation::relu6 ? min(VecF::set1(6.0f), t) : t;
}
/// The gradient where passes() of activation.h holds for t, else +0.
template <Activation A>
OCTET_SIMD VecF gate(VecF t, VecF gradient) {
  if (A == Activation::none) return gradient;
  MaskF inside = t > VecF::zero();
  if (A == Activation::relu6) inside = inside & (t < VecF::set1(6.0f));
  return select(inside, gradient, VecF::zero());
}

template <class Problem>
inline const char* takes_all(const Problem&) {
  return nullptr;
}

}  // namespace
}  // namespace octet::kernels

/// Defines the row <pass>_<dtypes>_<OCTET_IMPL>: refuses(problem) gives null or a reason, runs(problem, pointers)
/// does the work.
/// OCTET_IMPL is the instruction set's name, from the .cpp that includes a room's algorithm.
#define OCTET_VECTOR_ROW(Problem, Pointers, pass, dtypes, refuses, runs) \
  OCTET_VECTOR_ROW_IN(Problem, Pointers, pass, dtypes, OCTET_IMPL, refuses, runs)
#define OCTET_VECTOR_ROW_IN(Problem, Pointers, pass, dtypes, impl, refuses, runs) \
  OCTET_VECTOR_ROW_OF(Problem, Pointers, pass, dtypes, impl, refuses, runs)  // one step more, so that impl is expanded
#define OCTET_VECTOR_ROW_OF(Problem, Pointers, pass, dtypes, impl, refuses, runs)         \
  const char* pass##_##dtypes##_##impl##_why_not(const Problem& p) { return refuses(p); } \
  void pass##_##dtypes##_##impl(const Problem& p, const Pointers& x, const Context&) { runs(p, x); }
