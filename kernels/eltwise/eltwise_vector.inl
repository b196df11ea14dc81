// The element-wise passes over vectors; included by avx2.cpp and avx512.cpp after their vector types.
#include "kernels/eltwise/eltwise.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

void add_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const float *a = floats(x.a), *b = floats(x.b);
  float* dst = floats(x.dst);
  for_elements(p.count,
               [=](std::int64_t i, auto part) { store(load(a + i, part) + load(b + i, part), dst + i, part); });
}

void mul_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const float *a = floats(x.a), *b = floats(x.b);
  float* dst = floats(x.dst);
  for_elements(p.count,
               [=](std::int64_t i, auto part) { store(load(a + i, part) * load(b + i, part), dst + i, part); });
}

void act_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const float* a = floats(x.a);
  float* dst = floats(x.dst);
  with_activation(p.act, [&](auto tag) {
    for_elements(p.count, [=](std::int64_t i, auto part) {
      store(activate<decltype(tag)::act>(load(a + i, part)), dst + i, part);
    });
  });
}

void act_bwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const float *gradient = floats(x.a), *src = floats(x.b);
  float* dst = floats(x.dst);
  with_activation(p.act, [&](auto tag) {
    for_elements(p.count, [=](std::int64_t i, auto part) {
      store(gate<decltype(tag)::act>(load(src + i, part), load(gradient + i, part)), dst + i, part);
    });
  });
}

void channel_fma_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const float *a = floats(x.a), *b = floats(x.b);
  float* dst = floats(x.dst);
  if (b == nullptr) {
    for_channels(p.count, p.c, floats(x.scale), floats(x.shift),
                 [=](std::int64_t i, VecF scale, VecF shift, auto part) {
                   store(fma(load(a + i, part), scale, shift), dst + i, part);
                 });
  } else {
    for_channels(p.count, p.c, floats(x.scale), floats(x.shift),
                 [=](std::int64_t i, VecF scale, VecF shift, auto part) {
                   store(fma(load(a + i, part), scale, load(b + i, part) + shift), dst + i, part);
                 });
  }
}

}  // namespace

#define ROW(pass) OCTET_VECTOR_ROW(EltwiseProblem, EltwisePointers, pass, f32, takes_all, pass)
ROW(add_fwd)
ROW(act_fwd)
ROW(act_bwd)
ROW(mul_fwd)
ROW(channel_fma_fwd)
#undef ROW

}  // namespace octet::kernels
